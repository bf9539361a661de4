// What /metrics keeps of jobs that have ended.
#include "coordinator/meters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ds::coordinator {
namespace {

using testing::HasSubstr;
using testing::Not;

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
