// The status page: one document, no build step, nothing from elsewhere.
#include "coordinator/http.h"

namespace ds::coordinator {

const char kStatusPage[] = R"html(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>DeepSeek</title>
<style>
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #1b1f24 }
h1 { font-size: 1.3rem } h2 { font-size: 1rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% }
th { text-align: left; font-weight: 600; color: #57606a } td, th { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #d8dee4 }
td.n { font-variant-numeric: tabular-nums } svg { display: block }
.RUNNING { color: #0969da } .SUCCEEDED { color: #1a7f37 } .FAILED, .WORKER_LOST { color: #cf222e }
.RECOVERING, .WORKER_DRAINING { color: #9a6700 } .reason { color: #57606a; max-width: 22rem }
</style></head><body>
<h1>DeepSeek</h1>
<h2>Jobs</h2><table><thead><tr><th>id<th>state<th>step<th>loss<th>accuracy<th>samples/s<th>restarts<th>loss curve<th>reason</tr></thead>
<tbody id="jobs"></tbody></table>
<h2>Workers</h2><table><thead><tr><th>name<th>state<th>slots<th>free<th>labels</tr></thead><tbody id="workers"></tbody></table>
<p><a href="/metrics">metrics</a></p>
<script>
'use strict';
const curves = new Map();  // job -> {revision, svg}
const text = (tag, value, name) => { const e = document.createElement(tag); e.textContent = value; if (name) e.className = name; return e; };
const number = (v, digits) => v === undefined || v === 0 ? '' : Number(v).toLocaleString('en', {maximumFractionDigits: digits});

function draw(records) {
  const points = records.filter(r => r.kind === 'train' && Number.isFinite(r.loss));
  const ns = 'http://www.w3.org/2000/svg', svg = document.createElementNS(ns, 'svg'), w = 180, h = 40;
  svg.setAttribute('width', w); svg.setAttribute('height', h);
  if (points.length < 2) return svg;
  const xs = points.map(p => p.step), ys = points.map(p => p.loss);
  const x0 = Math.min(...xs), x1 = Math.max(...xs), y0 = Math.min(...ys), y1 = Math.max(...ys);
  const line = document.createElementNS(ns, 'polyline');
  line.setAttribute('fill', 'none'); line.setAttribute('stroke', '#0969da');
  line.setAttribute('points', points.map(p => `${(p.step - x0) / (x1 - x0 || 1) * w},${2 + (y1 - p.loss) / (y1 - y0 || 1) * (h - 4)}`).join(' '));
  svg.append(line);
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

async function refresh() {
  const {jobs, workers} = await (await fetch('/api/jobs')).json();
  const rows = await Promise.all(jobs.map(async (job) => {
    const row = document.createElement('tr'), p = job.progress || {}, m = job.metrics || {};
    const cell = document.createElement('td');
    row.append(text('td', job.id), text('td', job.state, job.state),
      text('td', p.total_steps > 0 ? `${p.step} / ${p.total_steps}` : '', 'n'), text('td', number(m.loss, 4), 'n'),
      text('td', number(m.test_accuracy, 4), 'n'), text('td', number(m.samples_per_second, 0), 'n'),
      text('td', job.restarts || '', 'n'), cell, text('td', job.reason, 'reason'));
    if (p.step > 0) cell.append(await curve(job));
    return row;
  }));
  document.getElementById('jobs').replaceChildren(...rows);
  document.getElementById('workers').replaceChildren(...workers.map(w => {
    const row = document.createElement('tr');
    row.append(text('td', w.name), text('td', w.state.replace('WORKER_', ''), w.state), text('td', w.slots, 'n'),
      text('td', w.free_slots, 'n'), text('td', Object.entries(w.labels || {}).map(([k, v]) => `${k}=${v}`).join(' ')));
    return row;
  }));
}
async function loop() { try { await refresh(); } catch (e) { console.warn(e); } setTimeout(loop, 1500); }
loop();
</script></body></html>
)html";

}  // namespace ds::coordinator
