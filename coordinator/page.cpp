// The status page: one document, no build step, nothing from elsewhere.
#include "coordinator/http.h"

namespace ds::coordinator {

const char kStatusPage[] = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>DeepSeek</title><link rel="icon" href="data:,">
<style>
:root { color-scheme: light dark; --ink: #1b1f24; --faint: #59636e; --line: #d8dee4; --paper: #fff; --track: #eaeef2;
  --blue: #0969da; --green: #1a7f37; --red: #cf222e; --amber: #9a6700 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #9198a1; --line: #30363d; --paper: #0d1117;
  --track: #21262d; --blue: #4493f8; --green: #3fb950; --red: #f85149; --amber: #d29922 } }
body { font: 14px/1.45 system-ui, sans-serif; margin: 1.5rem auto; max-width: 84rem; padding: 0 1.25rem; color: var(--ink); background: var(--paper) }
header { display: flex; align-items: baseline; gap: 1.5rem; flex-wrap: wrap }
h1 { font-size: 1.3rem; margin: 0 } h2 { font-size: 1rem; margin: 2rem 0 .4rem }
#pulse { margin-left: auto } #pulse.late { color: var(--red) } .faint, #summary, #pulse { color: var(--faint) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100% } a { color: var(--blue) }
th { text-align: left; font-weight: 600; color: var(--faint); white-space: nowrap }
td, th { padding: .4rem 1.2rem .4rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td { white-space: nowrap } td.reason { white-space: normal; min-width: 16rem; color: var(--faint); overflow-wrap: anywhere }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums } .warning { color: var(--amber) }
progress { display: block; width: 7.5rem; height: .35rem; margin: .25rem 0 0; appearance: none; border: 0; background: var(--track); border-radius: 9px }
progress::-webkit-progress-bar { background: var(--track); border-radius: 9px } progress::-webkit-progress-value { background: var(--blue); border-radius: 9px }
progress::-moz-progress-bar { background: var(--blue); border-radius: 9px }
svg { display: block } polyline { fill: none; stroke: var(--blue); stroke-width: 1.25; vector-effect: non-scaling-stroke }
.state::before { content: "●"; margin-right: .4em; color: var(--faint) }
.RUNNING::before, .STARTING::before, .ADMITTED::before, .RETRAINING::before { color: var(--blue) } .SUCCEEDED::before, .READY::before { color: var(--green) }
.FAILED::before, .LOST::before { color: var(--red) } .RECOVERING::before, .DRAINING::before, .PAUSED::before { color: var(--amber) }
@media (max-width: 80rem) { td, th { padding-right: .8rem } td.reason { min-width: 8rem } }
@media (max-width: 50rem) { thead { display: none } tr { display: flex; flex-wrap: wrap; gap: 0 1rem; border-bottom: 1px solid var(--line) }
  td { border: 0; padding: .2rem 0 } td:empty { display: none } td.reason { flex-basis: 100% } td[data-name]::before { content: attr(data-name) " "; color: var(--faint) } }
</style></head><body>
<header><h1>DeepSeek</h1><span id="summary"></span><span id="pulse"></span></header>
<h2>Jobs</h2><div class="wide"><table><thead><tr><th>Job<th>State<th>Step<th>Loss, log scale<th class="n">Loss<th class="n">Test accuracy<th class="n">Samples/s<th class="n">Restarts<th class="n">Age<th>Reason</tr></thead>
<tbody id="jobs"></tbody></table></div>
<section id="tuning" hidden><h2>Studies</h2><div class="wide"><table><thead><tr><th>Study<th>State<th>Trials<th>Best so far<th class="n">Best<th class="n">Failed<th class="n">Running<th class="n">Epochs saved<th class="n">Age<th>Reason</tr></thead>
<tbody id="studies"></tbody></table></div></section>
<h2>Workers</h2><div class="wide"><table><thead><tr><th>Worker<th>State<th class="n">Free slots<th class="n">Heard<th>Labels<th>Runs</tr></thead><tbody id="workers"></tbody></table></div>
<p class="faint">The newest 100 jobs. <a href="/metrics">Prometheus metrics</a></p>
<script>
'use strict';
const curves = new Map();  // job -> {revision, svg}
const text = (tag, value, name) => { const e = document.createElement(tag); e.textContent = value; if (name) e.className = name; return e; };
const number = (v, digits) => v === undefined || Number(v) === 0 ? '' : Number(v).toLocaleString('en', {maximumSignificantDigits: digits});
const whole = v => Math.round(Number(v)).toLocaleString('en');
const span = s => s < 60 ? `${Math.max(0, Math.round(s))} s` : s < 3600 ? `${Math.floor(s / 60)} min` : s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
const since = us => Number(us) > 0 ? span(Date.now() / 1000 - Number(us) / 1e6) : '';
// The cells of a row with their columns' heads, for screens too narrow to show those.
const named = (row, heads) => { heads.forEach((head, i) => { if (head) row.cells[i].dataset.name = head; }); return row; };
const nothing = (columns, words) => { const row = document.createElement('tr'), cell = text('td', words, 'faint'); cell.colSpan = columns; row.append(cell); return row; };

function draw(records) {
  const points = records.filter(r => r.kind === 'train' && r.loss > 0 && Number.isFinite(r.loss)).map(r => [r.step, Math.log(r.loss)]);
  return line(points, (x0, x1, y0, y1) => `loss from ${number(Math.exp(y1), 4)} down to ${number(Math.exp(y0), 4)}, steps ${x0} to ${x1}`);
}

function line(points, words) {
  const ns = 'http://www.w3.org/2000/svg', svg = document.createElementNS(ns, 'svg'), w = 180, h = 36;
  svg.setAttribute('width', w); svg.setAttribute('height', h);
  if (points.length < 2) return svg;
  const xs = points.map(p => p[0]), ys = points.map(p => p[1]);
  const x0 = Math.min(...xs), x1 = Math.max(...xs), y0 = Math.min(...ys), y1 = Math.max(...ys);
  const path = document.createElementNS(ns, 'polyline'), title = document.createElementNS(ns, 'title');
  path.setAttribute('points', points.map(p => `${((p[0] - x0) / (x1 - x0 || 1) * w).toFixed(1)},${(2 + (y1 - p[1]) / (y1 - y0 || 1) * (h - 4)).toFixed(1)}`).join(' '));
  title.textContent = words(x0, x1, y0, y1);
  svg.append(title, path);
  return svg;
}

async function curve(job) {
  const known = curves.get(job.id);
  if (known && known.revision === job.revision) return known.svg;
  const answer = await fetch(`/api/jobs/${job.id}/metrics?points=180`);
  const svg = draw(answer.ok ? await answer.json() : []);
  curves.set(job.id, {revision: job.revision, svg});
  return svg;
}

function part(done, total) {
  const cell = document.createElement('td');
  if (total === 0) return cell;
  const bar = document.createElement('progress');
  bar.max = total; bar.value = done;
  cell.append(`${whole(done)} / ${whole(total)}`, bar);
  return cell;
}

function study_row(s) {
  const row = document.createElement('tr'), curve = document.createElement('td'), best = s.best_so_far;
  curve.append(line(best.map((y, i) => [i + 1, y]), (x0, x1, y0, y1) => `${s.objective}: best so far from ${number(best[0], 4)} to ${number(best[best.length - 1], 4)}, trials ${x0} to ${x1}`));
  row.append(text('td', s.id), text('td', s.state.replace('STUDY_', ''), `state ${s.state.replace('STUDY_', '')}`), part(s.finished, s.trials), curve,
    text('td', s.front ? `front of ${s.front}` : number(best[best.length - 1], 4), 'n'), text('td', s.failed || '', 'n'), text('td', s.running || '', 'n'), text('td', s.epochs_saved ? `${s.about ? 'about ' : ''}${s.epochs_saved}` : '', 'n'),
    text('td', since(s.created_at_us), 'n'), text('td', s.reason, 'reason'));
  return named(row, ['', '', 'trials', '', 'best', 'failed', 'running', 'epochs saved', 'age']);
}

async function job_row(job) {
  const row = document.createElement('tr'), m = job.metrics || {}, p = job.progress || {};
  const loss = document.createElement('td'), why = text('td', job.reason, 'reason');
  if (Number(p.step) > 0) loss.append(await curve(job));
  if (job.warning) why.append(text('div', `Warning: ${job.warning}`, 'warning'));
  row.append(text('td', job.id), text('td', job.state, `state ${job.state}`), part(Number(p.step), Number(p.total_steps || 0)), loss, text('td', number(m.loss, 4), 'n'),
    text('td', number(m.test_accuracy, 4), 'n'), text('td', Number(m.samples_per_second) > 0 ? whole(m.samples_per_second) : '', 'n'),
    text('td', job.restarts || '', 'n'), text('td', since(job.created_at_us), 'n'), why);
  return named(row, ['', '', '', '', 'loss', 'test accuracy', 'samples/s', 'restarts', 'age']);
}

function worker_row(w, jobs) {
  const row = document.createElement('tr'), state = w.state.replace('WORKER_', '');
  const labels = Object.entries(w.labels || {}).map(([k, v]) => `${k}=${v}`).join(' ');
  const runs = jobs.flatMap(j => (j.ranks || []).filter(r => r.worker === w.name && !['RANK_EXITED', 'RANK_LOST'].includes(r.state)).map(r => `${j.id} rank ${r.rank}`));
  const heard = Number(w.lost_since_us) > 0 ? `lost ${since(w.lost_since_us)}` : since(w.last_heartbeat_us);
  row.append(text('td', w.name), text('td', state, `state ${state}`), text('td', `${w.free_slots} of ${w.slots}`, 'n'),
    text('td', heard && `${heard} ago`, 'n'), text('td', labels, 'faint'), text('td', runs.join(', '), 'reason'));
  return named(row, ['', '', 'free', 'heard', '', 'runs']);
}

async function refresh() {
  const answer = await fetch('/api/jobs', {signal: AbortSignal.timeout(5000)});
  const {jobs = [], workers = []} = await answer.json();
  const studies = await (await fetch('/api/studies', {signal: AbortSignal.timeout(5000)})).json();
  document.getElementById('tuning').hidden = studies.length === 0;
  document.getElementById('studies').replaceChildren(...studies.map(study_row));
  const rows = await Promise.all(jobs.map(job_row));
  for (const id of curves.keys()) if (!jobs.some(j => j.id === id)) curves.delete(id);
  document.getElementById('jobs').replaceChildren(...(rows.length ? rows : [nothing(10, 'No jobs. Submit one with dsctl job submit FILE.')]));
  document.getElementById('workers').replaceChildren(...(workers.length ? workers.map(w => worker_row(w, jobs)) : [nothing(6, 'No workers. Start one with ds-worker --coordinator HOST:PORT.')]));
  const count = state => jobs.filter(j => j.state === state).length, sum = key => workers.filter(w => w.state === 'WORKER_READY').reduce((n, w) => n + w[key], 0);
  document.getElementById('summary').textContent = `${count('RUNNING')} running, ${count('PENDING') + count('RECOVERING')} waiting, ${sum('free_slots')} of ${sum('slots')} slots free`;
}

let heard = Date.now();
async function loop() {
  const pulse = document.getElementById('pulse');
  try { await refresh(); heard = Date.now(); pulse.className = ''; pulse.textContent = `as of ${new Date().toLocaleTimeString()}`; }
  catch (e) { pulse.className = 'late'; pulse.textContent = `no answer from the coordinator for ${span((Date.now() - heard) / 1000)}`; }
  setTimeout(loop, 1500);
}
loop();
</script></body></html>
)html";

}  // namespace ds::coordinator
