#include "client/job_plan.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/process.h"
#include "proto/digest/digest.h"
#include "scheduler/plan/messages.h"

namespace ds::client {
namespace {

namespace fs = std::filesystem;

template <class Message>
absl::StatusOr<Message> read_message(const std::string& path) {
  Message message;
  std::ifstream file(path, std::ios::binary);
  if (!file || !message.ParseFromIstream(&file))
    return absl::InternalError(absl::StrCat(path, ": ds-executor wrote no answer"));
  return message;
}

// Asks the executor, which answers into a file.
template <class Message>
absl::StatusOr<Message> ask(const std::string& folder, const std::string& question, std::vector<std::string> more) {
  const std::string answer = absl::StrCat(folder, "/answer");
  std::vector<std::string> command{program_folder() + "/ds-executor", question, answer};
  command.insert(command.end(), more.begin(), more.end());
  if (absl::Status ran = run_to_end(command, folder + "/log"); !ran.ok()) return ran;
  return read_message<Message>(answer);
}

std::string path_in(const std::string& folder, const std::string& name) {
  return name.empty() ? name : fs::absolute(fs::path(folder) / name).lexically_normal().string();
}

absl::StatusOr<v1::ModelProfile> profile(v1::JobSpec spec, const std::string& folder, const std::string& scratch) {
  if (!spec.model().script().empty())
    return absl::InvalidArgumentError("model.script: a program cannot be traced, so there is nothing to plan on");
  for (const std::string& name : {spec.model().graph(), spec.data().path()})
    if (digest::is_digest(name))
      return absl::InvalidArgumentError(absl::StrCat(name, ": artifacts lie at a coordinator; name the local file"));
  spec.mutable_model()->set_graph(path_in(folder, spec.model().graph()));
  spec.mutable_data()->set_path(path_in(folder, spec.data().path()));
  v1::StartRank start;
  start.set_job(spec.name());
  start.set_ranks(1);
  *start.mutable_spec() = spec;
  const std::string question = scratch + "/start";
  std::ofstream(question, std::ios::binary) << start.SerializeAsString();
  auto result = ask<v1::ProfileResult>(scratch, "--profile", {"--job-file", question});
  if (!result.ok()) return result.status();
  if (!result->has_profile()) return absl::InvalidArgumentError(result->error());
  return result->profile();
}

absl::StatusOr<v1::Constants> measure(int slots, const std::string& scratch) {
  const std::vector<int> cores = usable_cores();
  const int count = static_cast<int>(cores.size());
  if (slots > count)
    return absl::InvalidArgumentError(
        absl::StrCat("--devices ", slots, ": this machine has ", count, " cores to lend"));
  std::vector<std::string> shares;
  for (int slot = 0; slot < slots; ++slot) {
    const auto from = cores.begin() + slot * count / slots, to = cores.begin() + (slot + 1) * count / slots;
    shares.insert(shares.end(), {"--share", absl::StrJoin(from, to, ",")});
  }
  return ask<v1::Constants>(scratch, "--measure", shares);
}

plan::DataParallelPlan choose(const JobPlan& p) {
  const plan::DataParallelJob job = plan::data_parallel_job(p.profile, p.spec);
  const plan::SlotConstants constants = plan::slot_constants(p.constants);
  std::vector<plan::PricedRanks> priced;
  for (int ranks : job.ranks) {
    const plan::HostShare all{&constants, ranks};
    if (ranks <= p.slots) priced.push_back({ranks, plan::step_parts(job, {&all, 1})});
  }
  return plan::choose_ranks(priced);
}

// Bytes of a rank. Activations: all that forward writes, though some of it is freed before its end.
Json memory_of(const JobPlan& p) {
  const v1::OptimizerSpec& optimizer = p.spec.train().optimizer();
  const double weights = 4.0 * static_cast<double>(p.profile.parameters());
  const double states = optimizer.name() == "adamw" ? 2 : optimizer.momentum() > 0 ? 1 : 0;
  const double share = p.spec.strategy().zero() >= 1 ? 1.0 / p.plan.ranks : 1;
  const double activations =
      p.profile.activation_bytes() * static_cast<double>(p.spec.train().batch_size()) / p.plan.ranks;
  const double gradients = p.profile.gradient_bytes(), state = states * weights * share;
  return {{"weights", weights},         {"gradients", gradients}, {"optimizer", state},
          {"activations", activations}, {"other", 0.0},           {"total", weights + gradients + state + activations}};
}

Json document_of(const JobPlan& p, int top) {
  const plan::DataParallelPlan& plan = p.plan;
  const auto layout = [&p](int ranks) { return Json{{"data_parallel", ranks}, {"zero", p.spec.strategy().zero()}}; };
  Json layers = Json::array(), alternatives = Json::array();
  for (const v1::LayerProfile& l : p.profile.layers())
    layers.push_back({{"name", l.name()},
                      {"parameters", l.parameters()},
                      {"forward_flops", l.forward_flops()},
                      {"activation_bytes", l.activation_bytes()}});
  for (const plan::RankAlternative& a : plan.alternatives) {
    if (static_cast<int>(alternatives.size()) + 1 >= top) break;
    alternatives.push_back({{"layout", layout(a.ranks)}, {"step_seconds", a.step_seconds}, {"why", a.why}});
  }
  const double step = plan.parts.total();
  return {{"model",
           {{"parameters", p.profile.parameters()},
            {"forward_flops", p.profile.forward_flops()},
            {"backward_flops", p.profile.backward_flops()},
            {"layers", layers}}},
          {"slots", p.slots},
          {"layout", layout(plan.ranks)},
          {"step_seconds", step},
          {"parts",
           {{"compute", plan.parts.compute},
            {"bubble", 0.0},
            {"tensor_comm", 0.0},
            {"pipeline_comm", 0.0},
            {"data_comm", plan.parts.all_reduce},
            {"optimizer", plan.parts.optimizer}}},
          {"samples_per_second", static_cast<double>(p.spec.train().batch_size()) / step},
          {"stages", Json::array({{{"memory", memory_of(p)}}})},
          {"why", plan.why},
          {"alternatives", alternatives}};
}

std::string parts_cell(const Json& document) {
  const auto text = [&](const char* part) { return plan::step_text(document["parts"][part].get<double>()); };
  return absl::StrCat("compute ", text("compute"), ", communication ", text("data_comm"), ", optimizer ",
                      text("optimizer"));
}

std::string memory_cell(const Json& document) {
  const Json& memory = document["stages"][0]["memory"];
  const auto mega = [&](const char* part) { return absl::StrFormat("%.4g", memory[part].get<double>() / 1e6); };
  return absl::StrCat(mega("total"), " MB: weights ", mega("weights"), ", gradients ", mega("gradients"),
                      ", optimizer ", mega("optimizer"), ", activations ", mega("activations"));
}

std::string runners_up_cell(const Json& document) {
  std::vector<std::string> all;
  for (const Json& a : document["alternatives"])
    all.push_back(absl::StrCat(a["layout"]["data_parallel"].get<int>(), ": ",
                               plan::step_text(a["step_seconds"].get<double>()), ", ", a["why"].get<std::string>()));
  return all.empty() ? "-" : absl::StrJoin(all, "; ");
}

}  // namespace

absl::StatusOr<JobPlan> plan_job(const v1::JobSpec& spec, const std::string& folder, int slots) {
  std::string scratch = fs::temp_directory_path() / "dsctl-plan-XXXXXX";
  if (!mkdtemp(scratch.data())) return absl::UnavailableError(absl::StrCat("no folder can be made in ", scratch));
  const absl::Cleanup remove = [&scratch] {
    std::error_code ignored;
    fs::remove_all(scratch, ignored);
  };
  JobPlan p;
  p.spec = spec;
  p.slots = slots > 0 ? slots : static_cast<int>(usable_cores().size());
  auto traced = profile(spec, folder, scratch);
  if (!traced.ok()) return traced.status();
  auto measured = measure(p.slots, scratch);
  if (!measured.ok()) return measured.status();
  p.profile = *std::move(traced);
  p.constants = *std::move(measured);
  p.plan = choose(p);
  return p;
}

View job_plan_view(const JobPlan& plan, int top) {
  return {document_of(plan, top),
          {{"PARAMETERS", text_at("/model/parameters")},
           {"SLOTS", text_at("/slots")},
           {"DATA PARALLEL", text_at("/layout/data_parallel")},
           {"STEP", [](const Json& d) { return plan::step_text(d["step_seconds"].get<double>()); }},
           {"PARTS", parts_cell},
           {"SAMPLES/S", number_at("/samples_per_second", 5)},
           {"MEMORY OF A RANK", memory_cell},
           {"WHY", text_at("/why")},
           {"RUNNERS-UP", runners_up_cell}}};
}

}  // namespace ds::client
