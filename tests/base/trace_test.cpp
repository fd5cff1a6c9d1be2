#include "engram/base/trace.hpp"
#include "engram/tests/support/recording_sink.hpp"

#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using engram::async_trace_range;
using engram::trace_range;
using engram::test::recording_sink;
using lines = std::vector<std::string>;

TEST(trace, a_scope_is_one_range_and_scopes_nest) {
  const recording_sink sink;
  {
    const trace_range outer{"transfer"};
    const trace_range inner{"kernel"};
  }
  EXPECT_EQ(sink.heard(), (lines{"push transfer", "push kernel", "pop", "pop"}));
}

TEST(trace, a_range_that_is_handed_on_ends_once_with_its_last_owner) {
  const recording_sink sink;
  {
    async_trace_range first{"window"};
    async_trace_range second{std::move(first)};
    first.end(); // owns nothing any more
    EXPECT_EQ(sink.heard(), (lines{"begin window 1"}));
    async_trace_range third;
    third = std::move(second);
    std::thread{[range = std::move(third)]() mutable { range.end(); }}.join();
  }
  EXPECT_EQ(sink.heard(), (lines{"begin window 1", "end 1"}));
}

TEST(trace, a_range_that_takes_another_s_place_ends_that_one) {
  const recording_sink sink;
  {
    async_trace_range range{"window"};
    range = async_trace_range{"window"};
    EXPECT_EQ(sink.heard(), (lines{"begin window 1", "begin window 2", "end 1"}));
  }
  EXPECT_EQ(sink.heard(), (lines{"begin window 1", "begin window 2", "end 1", "end 2"}));
}

TEST(trace, a_range_that_began_unwatched_is_not_ended_in_a_sink_that_came_later) {
  lines heard;
  {
    trace_range scope{"kernel"};
    async_trace_range range{"window"};
    const recording_sink sink;
    range.end();
    heard = sink.heard();
  }
  EXPECT_EQ(heard, lines{});
}

TEST(trace, a_range_ends_in_the_sink_that_it_began_in) {
  async_trace_range nobody_s{"window"};
  const recording_sink sink;
  async_trace_range range{"window"};
  engram::current_trace_sink = nullptr;
  range.end();
  nobody_s.end();
  EXPECT_EQ(sink.heard(), (lines{"begin window 1", "end 1"}));
}

} // namespace
