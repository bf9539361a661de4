// What /metrics keeps of jobs that have ended.
#include "coordinator/meters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ds::coordinator {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Meters, AScriptsOwnFiguresAreGaugesOfAtMostSixteenNames) {
  const absl::Time end = absl::FromUnixSeconds(1700000000);
  State state;
  v1::Job& job = *state.jobs["a-1"].mutable_job();
  job.set_id("a-1");
  job.set_state(v1::RUNNING);
  (*job.mutable_metrics()->mutable_reported())["val/f1"] = 0.25;
  Meters meters;
  v1::MetricsBatch batch;
  batch.set_job("a-1");
  batch.set_sequence(1);
  batch.add_records()->set_kind("eval");
  meters.trained(batch);
  const auto text = [&](absl::Duration later) {
    return meters.text(
        state, [](const std::string&) { return 0.0; }, end + later);
  };
  EXPECT_THAT(text({}), HasSubstr("ds_job_reported{job=\"a-1\",name=\"val/f1\"} 0.25\n"));
  for (int k = 0; k < 40; ++k) (*job.mutable_metrics()->mutable_reported())["own-" + std::to_string(100 + k)] = k;
  const std::string many = text({});
  EXPECT_THAT(many, HasSubstr("ds_job_reported{job=\"a-1\",name=\"own-115\"} 15\n"));
  EXPECT_THAT(many, Not(HasSubstr("own-116")));
  EXPECT_THAT(many, Not(HasSubstr("val/f1"))) << "the first ones by name, at every scrape the same";
  job.set_state(v1::SUCCEEDED);
  job.set_finished_at_us(absl::ToUnixMicros(end));
  EXPECT_THAT(text(absl::Minutes(2)), HasSubstr("own-100"));
  EXPECT_THAT(text(absl::Minutes(4)), Not(HasSubstr("own-100")));
}

TEST(Meters, AnEndedJobIsLeftOutAfterAWhileButStaysInTheSums) {
  const absl::Time end = absl::FromUnixSeconds(1700000000);
  State state;
  v1::Job& job = *state.jobs["a-1"].mutable_job();
  job.set_id("a-1");
  job.set_state(v1::SUCCEEDED);
  job.set_restarts(2);
  job.set_finished_at_us(absl::ToUnixMicros(end));
  Meters meters;
  v1::MetricsBatch batch;
  batch.set_job("a-1");
  batch.set_sequence(1);
  v1::MetricRecord& record = *batch.add_records();
  record.set_kind("train");
  record.set_samples(64);
  meters.trained(batch);
  const auto text = [&](absl::Duration later) {
    return meters.text(
        state, [](const std::string&) { return 0.0; }, end + later);
  };
  EXPECT_THAT(text(absl::Minutes(2)), HasSubstr("ds_job_samples_total{job=\"a-1\"} 64"));
  const std::string after = text(absl::Minutes(4));
  EXPECT_THAT(after, Not(HasSubstr("a-1")));
  EXPECT_THAT(after, HasSubstr("ds_training_samples_total 64"));
  EXPECT_THAT(after, HasSubstr("ds_restarts_total 2"));
  EXPECT_THAT(after, HasSubstr("ds_jobs{state=\"SUCCEEDED\"} 1"));
}

}  // namespace
}  // namespace ds::coordinator
