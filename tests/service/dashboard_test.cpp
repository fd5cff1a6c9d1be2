// The dashboard's figures: what happened between two readings, and what its page is told.

#include "engram/service/dashboard/feed.hpp"
#include "engram/service/dashboard/history.hpp"
#include "engram/service/dashboard/messages.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <thread>

namespace {

using namespace engram;
using namespace std::chrono_literals;
using testing::ElementsAre;

constexpr auto search = static_cast<std::size_t>(operation::search);
constexpr auto spread = static_cast<std::size_t>(operation::spread);
constexpr std::size_t all = operation_count;

std::uint64_t& answers(dashboard_reading& reading, ec status) {
  return reading.figures.operations[search].answers[static_cast<std::size_t>(status)];
}

/// A pipeline with a CPU and a GPU that has done nothing yet; bounds of 1, 2 and 4.
dashboard_reading nothing_yet(duration after = {}) {
  dashboard_reading reading;
  reading.at = time_point{} + 1h + after;
  auto& figures = reading.figures;
  figures.second_bounds = {1, 2, 4};
  figures.item_bounds = {1, 2, 4};
  for (auto& op : figures.operations) {
    op.latency.buckets.assign(4, 0);
    op.batch_items.buckets.assign(4, 0);
  }
  for (const auto* name : {"cpu", "gpu0"}) {
    figures.devices.emplace_back().name = name;
    reading.health.devices.emplace_back().info.name = name;
  }
  figures.actors = {{"ingest", 3, 0}, {"batcher", 5, 1}};
  reading.health.state = "ready";
  return reading;
}

TEST(quantile, is_interpolated_in_its_bucket) {
  const std::vector<double> bounds{1, 2, 4};
  const auto of = [&](std::vector<std::uint64_t> counts, double share) {
    return quantile_of(counts, bounds, share);
  };
  EXPECT_EQ(of({0, 0, 0, 0}, 0.5), std::nullopt);
  EXPECT_DOUBLE_EQ(of({4, 0, 0, 0}, 0.5).value(), 0.5);
  EXPECT_DOUBLE_EQ(of({0, 0, 10, 0}, 0.9).value(), 2 + 2 * 0.9);
  EXPECT_DOUBLE_EQ(of({5, 5, 0, 0}, 0.5).value(), 1); // all of the first, none of the second
  EXPECT_DOUBLE_EQ(of({50, 40, 10, 0}, 0.99).value(), 2 + 2 * 0.9);
  EXPECT_DOUBLE_EQ(of({0, 1, 0, 0}, 1).value(), 2);
  EXPECT_DOUBLE_EQ(of({1, 0, 0, 0}, 0).value(), 0);
}

TEST(quantile, beyond_every_bound_is_the_highest) {
  EXPECT_EQ(quantile_of(std::vector<std::uint64_t>{1, 0, 9}, std::vector<double>{1, 2}, 0.5), 2);
}

TEST(dashboard_history, makes_no_sample_of_the_first_reading) {
  dashboard_history history;
  EXPECT_FALSE(history.latest());
  history.add(nothing_yet());
  EXPECT_TRUE(history.latest());
  EXPECT_TRUE(history.samples().empty());
}

TEST(dashboard_history, rates_are_per_second_however_far_apart_the_readings_are) {
  dashboard_history history;
  auto reading = nothing_yet();
  answers(reading, ec::none) = 1'000; // long ago
  history.add(reading);
  reading.at += 2s;
  answers(reading, ec::none) += 10;
  answers(reading, ec::overloaded) += 4;
  answers(reading, ec::deadline_exceeded) += 2;
  reading.counts.accepted = 12;
  reading.counts.batches = 6;
  reading.figures.devices[1].runs = 5;
  reading.health.in_flight = 7;
  history.add(reading);
  ASSERT_EQ(history.samples().size(), 1);
  const auto& sample = history.samples()[0];
  EXPECT_EQ(sample.number, 1);
  EXPECT_DOUBLE_EQ(sample.at_seconds, 2);
  EXPECT_DOUBLE_EQ(sample.ok_rate, 5);
  EXPECT_DOUBLE_EQ(sample.refused_rate, 2);
  EXPECT_DOUBLE_EQ(sample.failed_rate, 1);
  EXPECT_DOUBLE_EQ(sample.accepted_rate, 6);
  EXPECT_DOUBLE_EQ(sample.batch_rate, 3);
  EXPECT_THAT(sample.run_rates, ElementsAre(0, 2.5));
  EXPECT_THAT(sample.queue_depths, ElementsAre(3, 5));
  EXPECT_EQ(sample.in_flight, 7);
}

TEST(dashboard_history, percentiles_are_of_what_came_since_the_reading_before) {
  dashboard_history history;
  auto reading = nothing_yet();
  reading.figures.operations[search].latency.buckets = {1'000, 0, 0, 0};
  history.add(reading);
  reading.at += 1s;
  reading.figures.operations[search].latency.buckets = {1'000, 10, 0, 0};
  reading.figures.operations[spread].latency.buckets = {0, 0, 30, 0};
  history.add(reading);
  reading.at += 1s;
  history.add(reading);
  const auto& busy = history.samples()[0];
  EXPECT_DOUBLE_EQ(busy.latency[search]->p50, 1.5);
  EXPECT_DOUBLE_EQ(busy.latency[search]->p90, 1.9);
  EXPECT_DOUBLE_EQ(busy.latency[search]->p99, 1.99);
  EXPECT_DOUBLE_EQ(busy.latency[spread]->p50, 3);
  EXPECT_NEAR(busy.latency[all]->p50, 2 + 2 * 10.0 / 30, 1e-9);
  EXPECT_FALSE(busy.latency[static_cast<std::size_t>(operation::score)]);
  EXPECT_FALSE(history.samples()[1].latency[all]);
}

TEST(dashboard_history, names_the_batches_sizes_and_routes_that_were_new) {
  dashboard_history history;
  auto reading = nothing_yet();
  auto& devices = reading.figures.devices;
  constexpr auto busy = static_cast<std::size_t>(route_reason::gpu_busy),
                 gpu = static_cast<std::size_t>(route_reason::gpu);
  devices[0].batches[busy] = 7;
  devices[1].batches[gpu] = 9;
  history.add(reading);
  reading.at += 1s;
  devices[1].batches[gpu] += 3;
  reading.figures.operations[search].batch_items.buckets[1] += 2;
  reading.figures.operations[spread].batch_items.buckets[1] += 1;
  reading.figures.operations[spread].batch_items.buckets[3] += 4;
  history.add(reading);
  const auto& sample = history.samples()[0];
  ASSERT_EQ(sample.routes.size(), 1);
  EXPECT_EQ(sample.routes[0].device, 1);
  EXPECT_EQ(sample.routes[0].reason, route_reason::gpu);
  EXPECT_EQ(sample.routes[0].count, 3);
  ASSERT_EQ(sample.batch_items.size(), 2);
  EXPECT_EQ(sample.batch_items[0].bucket, 1);
  EXPECT_EQ(sample.batch_items[0].count, 3);
  EXPECT_EQ(sample.batch_items[1].bucket, 3);
  EXPECT_EQ(sample.batch_items[1].count, 4);
}

TEST(dashboard_history, keeps_the_newest_samples_and_no_more) {
  dashboard_history history{3};
  for (int i = 0; i <= 5; ++i)
    history.add(nothing_yet(i * 1s));
  ASSERT_EQ(history.samples().size(), 3);
  EXPECT_EQ(history.samples().front().number, 3);
  EXPECT_EQ(history.samples().back().number, 5);
  EXPECT_EQ(dashboard_history{}.most_samples(), 900); // 15 minutes
}

TEST(dashboard_history, a_reading_without_time_in_between_is_left_out) {
  dashboard_history history;
  history.add(nothing_yet());
  history.add(nothing_yet());
  EXPECT_TRUE(history.samples().empty());
}

TEST(dashboard_messages, the_first_has_the_history_and_later_ones_what_is_new) {
  dashboard_history history;
  auto reading = nothing_yet();
  history.add(reading);
  for (int i = 0; i < 3; ++i) {
    reading.at += 1s;
    reading.figures.operations[search].latency.buckets[1] += 10;
    reading.figures.devices[1].speedup[search] = 12.3456789;
    history.add(reading);
  }
  const std::vector<pipeline_event> events{
      {4, reading.at, "breaker", "gpu0", "closed -> open: \"sticky\""}};
  const auto whole = nlohmann::json::parse(encode_dashboard(history, {}, {}, events));
  EXPECT_EQ(whole["kept_samples"], 900);
  EXPECT_THAT(whole["operations"], ElementsAre("search", "similarity", "score", "spread"));
  EXPECT_EQ(whole["reasons"].size(), route_reason_count);
  EXPECT_EQ(whole["item_bounds"], (nlohmann::json{1, 2, 4}));
  EXPECT_EQ(whole["samples"].size(), 3);
  const auto& sample = whole["samples"][2];
  EXPECT_EQ(sample["number"], 3);
  EXPECT_EQ(sample["at"], 3);
  EXPECT_EQ(sample["latency"].size(), operation_count + 1);
  EXPECT_EQ(sample["latency"][search], (nlohmann::json{1.5, 1.9, 1.99}));
  EXPECT_TRUE(sample["latency"][spread].empty());
  const auto& now = whole["now"];
  EXPECT_EQ(now["state"], "ready");
  EXPECT_EQ(now["actors"][1]["name"], "batcher");
  EXPECT_EQ(now["actors"][1]["restarts"], 1);
  EXPECT_EQ(now["devices"][1]["speedup"][search], 12.346);
  EXPECT_EQ(now["devices"][1]["breaker"], "closed");
  EXPECT_EQ(now["devices"][1]["breaker_override"], "automatic");
  EXPECT_EQ(whole["events"][0]["at"], 3);
  EXPECT_EQ(whole["events"][0]["detail"], "closed -> open: \"sticky\"");

  const auto update = nlohmann::json::parse(encode_dashboard_update(history, {}, 2, {}));
  ASSERT_EQ(update["samples"].size(), 1);
  EXPECT_EQ(update["samples"][0], sample);
  EXPECT_EQ(update["now"], now);
  EXPECT_TRUE(update["events"].empty());
}

TEST(dashboard_messages, fifteen_busy_minutes_are_less_than_a_megabyte) {
  dashboard_history history;
  auto reading = nothing_yet();
  auto& figures = reading.figures;
  figures.actors.assign(8, {"some_worker", 12, 0});
  for (auto& op : figures.operations) {
    op.latency.buckets.assign(20, 0);
    op.batch_items.buckets.assign(19, 0);
  }
  figures.second_bounds.assign(19, 0.123456);
  figures.item_bounds.assign(18, 1024);
  for (std::size_t i = 0; i <= history.most_samples(); ++i) {
    reading.at += 1'001'234us;
    for (auto& op : figures.operations) {
      for (auto& bucket : op.latency.buckets)
        bucket += i * 17;
      for (std::size_t b = 0; b < 8; ++b)
        op.batch_items.buckets[b] += i * 3;
    }
    for (auto& device : figures.devices)
      for (auto& count : device.batches)
        count += 123 + i;
    history.add(reading);
  }
  EXPECT_LT(encode_dashboard(history, {}, {}, {}).size(), 1'000'000);
}

/// Returns the next news, however long they take.
std::string next(dashboard_feed& feed, dashboard_feed::place& listener) {
  const auto until = clock_type::now() + 20s;
  for (;;) {
    auto news = feed.news(listener);
    if (!news.empty() || clock_type::now() > until) return news;
    std::this_thread::sleep_for(feed.until_news());
  }
}

TEST(dashboard_feed, tells_each_listener_the_history_first_and_then_what_is_new) {
  auto pipe = pipeline::start();
  ASSERT_TRUE(pipe);
  dashboard_feed feed{**pipe};
  dashboard_feed::place listener;
  const auto first = next(feed, listener);
  EXPECT_TRUE(first.starts_with("event: history\ndata: {")) << first;
  EXPECT_TRUE(first.ends_with("}\n\n"));
  EXPECT_LE(feed.until_news(), 1100ms);
  const auto second = next(feed, listener);
  ASSERT_TRUE(second.starts_with("event: update\ndata: {")) << second;
  const auto update = nlohmann::json::parse(second.substr(second.find('{')));
  EXPECT_FALSE(update["samples"].empty());
  EXPECT_TRUE(update["events"].empty());
  EXPECT_EQ(update["now"]["state"], "loading") << "whatever the pipeline says";
  EXPECT_EQ(update["now"]["ready"], false);
  feed.hold_readiness({});
  dashboard_feed::place late;
  const auto history = next(feed, late);
  EXPECT_TRUE(history.starts_with("event: history\n"));
  EXPECT_EQ(nlohmann::json::parse(history.substr(history.find('{')))["now"]["state"], "ready");
}

} // namespace
