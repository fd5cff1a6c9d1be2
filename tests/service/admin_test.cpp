// Steering through the gRPC door, and what the log keeps of it.

#include "engram/service/admin/job_queue.hpp"
#include "engram/service/grpc/peer.hpp"

#include <admin.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>

#include "admin_fixture.hpp"
#include "grpc_fixture.hpp"

namespace engram::test {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

class admin_grpc_test : public grpc_fixture {
protected:
  admin_grpc_test() {
    options.gpu.enabled = true;
    options.gpu.devices = {"sim:h100"};
    options.faults.admin_enabled = true;
  }
  void SetUp() override {
    server_test::SetUp();
    actions.emplace(*pipe, daemon.controls(*pipe));
    if (opens) actions->open();
    models = std::make_unique<inference_server>(*pipe, protocol, door.max_body_bytes);
    auto listening = engram::grpc_server::start(*pipe, *models, door, *keeper, &*actions);
    ASSERT_TRUE(listening) << listening.error().message;
    grpc_door = std::move(*listening);
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(grpc_door->port()),
                                  grpc::InsecureChannelCredentials());
    stub = v1::Admin::NewStub(channel);
  }
  void TearDown() override {
    grpc_door.reset(); // before what it calls
    grpc_fixture::TearDown();
  }

  template <class Request, class Response>
  using method = grpc::Status (v1::Admin::Stub::*)(grpc::ClientContext*, const Request&, Response*);
  template <class Request, class Response>
  grpc::Status call(method<Request, Response> what, const Request& in, Response& out) {
    grpc::ClientContext context;
    return (*stub.*what)(&context, in, &out);
  }

  bool opens = true; ///< false: the daemon is half made
  pretended_daemon daemon;
  std::optional<admin> actions;
  std::unique_ptr<v1::Admin::Stub> stub;
};

using stub_type = v1::Admin::Stub;

TEST_F(admin_grpc_test, reload_answers_what_has_changed) {
  daemon.reload_outcome = std::vector<key_change>{{"batching.max_wait_ms", "3", "4.5"}};
  v1::ReloadResponse out;
  ASSERT_TRUE(call(&stub_type::Reload, v1::ReloadRequest{}, out).ok());
  ASSERT_EQ(out.changed_size(), 1);
  EXPECT_EQ(out.changed(0).key(), "batching.max_wait_ms");
  EXPECT_EQ(out.changed(0).before(), "3");
  EXPECT_EQ(out.changed(0).after(), "4.5");
  EXPECT_THAT(daemon.log(), ElementsAre(MatchesRegex("admin reload by 127\\.0\\.0\\.1:[0-9]+: "
                                                     "done, batching.max_wait_ms = 4.5 .was 3.")));
}

TEST_F(admin_grpc_test, a_refused_reload_says_which_key_it_was) {
  daemon.reload_outcome =
      error{ec::invalid_argument, "gpu.streams cannot change\nwithout a restart"};
  v1::ReloadResponse out;
  const auto status = call(&stub_type::Reload, v1::ReloadRequest{}, out);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("gpu.streams"));
  EXPECT_THAT(daemon.log(), ElementsAre(HasSubstr(
                                "refused, invalid_argument: gpu.streams cannot change without")))
      << "in one line";
}

TEST_F(admin_grpc_test, drain_answers_at_once_and_tells_the_daemon) {
  ASSERT_TRUE(pipe->arm_fault("cpu.launch=1*delay(300)"));
  auto asked = pipe->submit(similarity_request{{1, 0}, {1, 0}, {}});
  while (pipe->health().in_flight == 0)
    std::this_thread::yield();
  v1::DrainResponse out;
  ASSERT_TRUE(call(&stub_type::Drain, v1::DrainRequest{}, out).ok());
  EXPECT_EQ(out.in_flight(), 1u);
  EXPECT_EQ(daemon.drains, 1);
  EXPECT_THAT(daemon.log(), ElementsAre(HasSubstr(": begins, 1 requests in flight")));
  EXPECT_TRUE(asked.get().ok());
}

TEST_F(admin_grpc_test, a_published_dataset_is_served_and_a_dropped_one_is_not) {
  v1::PublishRequest in;
  in.set_dataset("fresh@2");
  v1::PublishResponse published;
  ASSERT_TRUE(call(&stub_type::Publish, in, published).ok());
  EXPECT_EQ(published.dataset().name(), "fresh");
  EXPECT_EQ(published.dataset().collection().rows(), 1u);
  EXPECT_THAT(published.dataset().devices(), ElementsAre("cpu", "gpu0"));
  EXPECT_NE(pipe->find("fresh"), nullptr);

  v1::DropRequest name;
  name.set_dataset("fresh");
  v1::DropResponse dropped;
  ASSERT_TRUE(call(&stub_type::Drop, name, dropped).ok());
  EXPECT_EQ(dropped.version(), published.dataset().version());
  EXPECT_EQ(pipe->find("fresh"), nullptr);
  EXPECT_EQ(call(&stub_type::Drop, name, dropped).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(daemon.log(), ElementsAre(HasSubstr("admin publish fresh@2 by "), HasSubstr(": done"),
                                        HasSubstr("refused, not_found")));
}

TEST_F(admin_grpc_test, what_the_store_refuses_is_refused) {
  v1::PublishRequest in;
  in.set_dataset("../etc\npasswd");
  v1::PublishResponse out;
  EXPECT_EQ(call(&stub_type::Publish, in, out).error_code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_EQ(daemon.log().size(), 1u);
  EXPECT_EQ(daemon.log()[0].find('\n'), std::string::npos) << daemon.log()[0];
}

TEST_F(admin_grpc_test, what_an_action_throws_ends_its_call_alone) {
  daemon.before_publish = [] { throw std::runtime_error{"the store is on fire"}; };
  v1::PublishRequest in;
  in.set_dataset("fresh");
  v1::PublishResponse out;
  const auto status = call(&stub_type::Publish, in, out);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(status.error_message(), HasSubstr("unexpected: the store is on fire"));
  v1::DrainResponse next;
  EXPECT_TRUE(call(&stub_type::Drain, v1::DrainRequest{}, next).ok());
}

TEST_F(admin_grpc_test, a_publication_that_takes_long_holds_up_no_other_call) {
  std::promise<void> go_on;
  daemon.before_publish = [done = go_on.get_future().share()] { done.wait(); };
  auto publishing = std::async(std::launch::async, [this] {
    v1::PublishRequest in;
    in.set_dataset("fresh");
    v1::PublishResponse out;
    return call(&stub_type::Publish, in, out).ok();
  });
  daemon.wait_for_publish();
  v1::LogLevel level;
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(call(&stub_type::GetLogLevel, v1::GetLogLevelRequest{}, level).ok());
  EXPECT_EQ(pipe->find("fresh"), nullptr);
  go_on.set_value();
  EXPECT_TRUE(publishing.get());
}

TEST_F(admin_grpc_test, nothing_is_published_into_a_pipeline_that_stops) {
  pipe->stop();
  v1::PublishRequest in;
  in.set_dataset("fresh");
  v1::PublishResponse out;
  const auto status = call(&stub_type::Publish, in, out);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("stopped"));
}

TEST_F(admin_grpc_test, a_breaker_is_overridden_and_shows_it) {
  v1::SetBreakerRequest in;
  in.set_device("gpu0");
  in.set_override("open");
  v1::SetBreakerResponse out;
  ASSERT_TRUE(call(&stub_type::SetBreaker, in, out).ok());
  EXPECT_EQ(out.override(), "open");
  EXPECT_EQ(out.breaker(), "open");
  EXPECT_FALSE(out.available());
  EXPECT_THAT(daemon.log(),
              ElementsAre(MatchesRegex("admin breaker of gpu0 open by .*: done, it is open")));
}

TEST_F(admin_grpc_test, bad_overrides_are_refused) {
  const auto refusal = [this](const char* device, const char* word) {
    v1::SetBreakerRequest in;
    in.set_device(device);
    in.set_override(word);
    v1::SetBreakerResponse out;
    return call(&stub_type::SetBreaker, in, out).error_code();
  };
  EXPECT_EQ(refusal("gpu0", "shut"), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refusal("gpu0", ""), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(refusal("gpu5", "open"), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(refusal("cpu", "open"), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(daemon.log().size(), 4u);
  EXPECT_EQ(pipe->health().devices.at(1).overridden, breaker_override::automatic);
}

TEST_F(admin_grpc_test, the_log_level_is_told_and_set) {
  v1::LogLevel in, out;
  in.set_level("debug");
  ASSERT_TRUE(call(&stub_type::SetLogLevel, in, out).ok());
  EXPECT_EQ(out.level(), "debug");
  in.set_level("loud");
  EXPECT_EQ(call(&stub_type::SetLogLevel, in, out).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  ASSERT_TRUE(call(&stub_type::GetLogLevel, v1::GetLogLevelRequest{}, out).ok());
  EXPECT_EQ(out.level(), "debug");
  EXPECT_EQ(daemon.log().size(), 2u) << "asking is not audited";
}

TEST_F(admin_grpc_test, faults_are_armed_all_or_none_and_turned_off) {
  v1::SetFaultsRequest in;
  in.add_faults("cpu.launch=5%delay(1)");
  v1::FaultSites out;
  ASSERT_TRUE(call(&stub_type::SetFaults, in, out).ok());
  const auto setting_of = [&](const char* name) {
    for (const auto& each : out.sites())
      if (each.site() == name) return each.setting();
    return std::string{"no such site"};
  };
  EXPECT_EQ(setting_of("cpu.launch"), "5%delay(1)");
  in.add_faults("nowhere=off");
  EXPECT_EQ(call(&stub_type::SetFaults, in, out).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(call(&stub_type::SetFaults, v1::SetFaultsRequest{}, out).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
  out.Clear();
  ASSERT_TRUE(call(&stub_type::ClearFaults, v1::ClearFaultsRequest{}, out).ok());
  EXPECT_EQ(setting_of("cpu.launch"), "off");
  out.Clear();
  ASSERT_TRUE(call(&stub_type::ListFaults, v1::ListFaultsRequest{}, out).ok());
  EXPECT_GT(out.sites_size(), 10);
}

class closed_admin_test : public admin_grpc_test {
protected:
  closed_admin_test() {
    daemon.closed = "server.admin_api is false";
    options.faults.admin_enabled = false;
  }
};

TEST_F(closed_admin_test, every_call_is_refused_says_why_and_does_nothing) {
  const auto expect_refused = [](const grpc::Status& status) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED);
    EXPECT_THAT(status.error_message(), HasSubstr("server.admin_api"));
  };
  v1::DrainResponse drained;
  expect_refused(call(&stub_type::Drain, v1::DrainRequest{}, drained));
  EXPECT_EQ(daemon.drains, 0);
  v1::ReloadResponse reloaded;
  expect_refused(call(&stub_type::Reload, v1::ReloadRequest{}, reloaded));
  v1::DropRequest name;
  name.set_dataset("animals");
  v1::DropResponse dropped;
  expect_refused(call(&stub_type::Drop, name, dropped));
  EXPECT_NE(pipe->find("animals"), nullptr);
  v1::FaultSites sites;
  expect_refused(call(&stub_type::ListFaults, v1::ListFaultsRequest{}, sites));
  EXPECT_EQ(daemon.log().size(), 4u);
}

class early_admin_test : public admin_grpc_test {
protected:
  early_admin_test() { opens = false; }
};

TEST_F(early_admin_test, a_call_is_refused_until_all_is_there) {
  v1::DrainResponse out;
  const auto status = call(&stub_type::Drain, v1::DrainRequest{}, out);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("still starting"));
  EXPECT_EQ(daemon.drains, 0);
  actions->open();
  EXPECT_TRUE(call(&stub_type::Drain, v1::DrainRequest{}, out).ok());
  EXPECT_EQ(daemon.drains, 1);
}

TEST(peer_text, is_what_people_write) {
  EXPECT_EQ(peer_text("ipv4:127.0.0.1:40312"), "127.0.0.1:40312");
  EXPECT_EQ(peer_text("ipv6:%5B::1%5D:40312"), "[::1]:40312");
  EXPECT_EQ(peer_text("unix:/run/engram"), "unix:/run/engram");
}

TEST(job_queue, runs_jobs_in_order_also_those_that_wait_when_it_ends) {
  std::vector<int> done;
  std::promise<void> go_on;
  {
    job_queue jobs;
    jobs.push([&] { go_on.get_future().wait(); });
    for (int i = 0; i < 5; ++i)
      EXPECT_TRUE(jobs.push([&done, i] { done.push_back(i); }));
    go_on.set_value();
  }
  EXPECT_EQ(done, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST(job_queue, refuses_more_than_may_wait) {
  std::promise<void> begun, go_on;
  job_queue jobs{2};
  jobs.push([&] {
    begun.set_value();
    go_on.get_future().wait();
  });
  begun.get_future().wait();
  EXPECT_TRUE(jobs.push([] {}));
  EXPECT_TRUE(jobs.push([] {}));
  EXPECT_FALSE(jobs.push([] {}));
  go_on.set_value();
}

} // namespace engram::test
