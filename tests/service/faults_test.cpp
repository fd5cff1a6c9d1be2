// The admin route that arms fault points, and the fault points of the HTTP door itself.

#include <chrono>
#include <ostream>
#include <thread>

#include "steered_server.hpp"

namespace engram::testing {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::string_view route = "/v1/admin/faults";
constexpr std::string_view a_search = R"({"collection":"animals","query":[1,0,0],"k":1})";

class admin_faults : public steered_server_test {
protected:
  admin_faults() { options.faults.admin_enabled = true; }

  http_response ask(std::string_view method, std::string_view body = {}) {
    return talk(port, request_text(method, route, body));
  }

  /// Returns what the route says of a site.
  json state_of(std::string_view site) {
    const auto listed = json::parse(ask("GET").body, nullptr, false);
    for (const auto& each : listed.at("faults"))
      if (each.at("site") == site) return each;
    ADD_FAILURE() << "no site " << site;
    return {};
  }
  std::string setting_of(std::string_view site) { return state_of(site).at("setting"); }
};

// -- the route --

TEST_F(admin_faults, lists_every_site_with_its_tasks) {
  const auto response = ask("GET");
  ASSERT_EQ(response.status, 200);
  const auto listed = json::parse(response.body).at("faults");
  EXPECT_EQ(listed.size(), pipe->faults().size());
  EXPECT_EQ(state_of("http.send"),
            (json{{"site", "http.send"},
                  {"tasks", {"return", "delay"}},
                  {"setting", "off"},
                  {"fired", 0},
                  {"meaning", "an answer as it goes out over HTTP; return: the connection is cut "
                              "instead"}}));
  EXPECT_EQ(ask("HEAD").status, 200);
}

TEST_F(admin_faults, arms_what_a_list_says_and_leaves_the_others) {
  ASSERT_EQ(ask("PUT", R"({"faults":["actor.router=1*exit"]})").status, 200);
  const auto armed =
      ask("PUT", R"({"faults":["cpu.launch=1*off->5%return","dataset.publish=return"]})");
  ASSERT_EQ(armed.status, 200);
  EXPECT_TRUE(json::parse(armed.body).contains("faults")) << "the same list as GET gives";
  EXPECT_EQ(setting_of("cpu.launch"), "1*off->5%return");
  EXPECT_EQ(setting_of("dataset.publish"), "return");
  EXPECT_EQ(setting_of("actor.router"), "1*exit");
  ASSERT_EQ(ask("PUT", R"({"faults":["cpu.launch=off"]})").status, 200);
  EXPECT_EQ(setting_of("cpu.launch"), "off");
  EXPECT_EQ(setting_of("dataset.publish"), "return");
}

TEST_F(admin_faults, arms_what_one_text_with_semicolons_says) {
  ASSERT_EQ(ask("PUT", R"({"setting":" cpu.launch=0%hang ;; http.send=delay(1) "})").status, 200);
  EXPECT_EQ(setting_of("cpu.launch"), "0%hang");
  EXPECT_EQ(setting_of("http.send"), "delay(1)");
}

TEST_F(admin_faults, are_all_off_after_delete_and_keep_their_counts) {
  ASSERT_EQ(ask("PUT", R"({"faults":["cpu.launch=1*delay(0) ","dataset.publish=return"]})").status,
            200);
  EXPECT_TRUE(is_alive());
  EXPECT_EQ(ask("DELETE").status, 200);
  for (const auto& site : pipe->faults())
    EXPECT_EQ(site.setting, "off") << site.name;
  EXPECT_EQ(state_of("cpu.launch").at("fired"), 1);
}

TEST_F(admin_faults, are_events_like_those_of_every_other_way) {
  ASSERT_EQ(ask("PUT", R"({"faults":["cpu.launch=0%hang"]})").status, 200);
  const auto events = pipe->events();
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.back().kind, "fault");
  EXPECT_EQ(events.back().subject, "cpu.launch");
}

TEST_F(admin_faults, refuse_other_methods) {
  const auto response = ask("POST", "{}");
  EXPECT_EQ(response.status, 405);
  EXPECT_TRUE(response.has_header("Allow: GET, PUT, DELETE, HEAD"));
}

TEST_F(admin_faults, need_the_length_of_a_body) {
  const auto response =
      talk(port, "PUT /v1/admin/faults HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(response.status, 411);
}

class early_admin : public steered_server_test {
protected:
  early_admin() { opens = false; }
};

TEST_F(early_admin, is_refused_until_all_is_there) {
  const auto early = post(port, "/v1/admin/drain", "");
  EXPECT_EQ(early.status, 503);
  EXPECT_EQ(json::parse(early.body).at("code"), "unavailable");
  EXPECT_TRUE(early.has_header("Retry-After: 1"));
  EXPECT_EQ(daemon.drains, 0);
  actions->open();
  EXPECT_EQ(post(port, "/v1/admin/drain", "").status, 202);
  EXPECT_EQ(daemon.drains, 1);
}

class closed_admin_faults : public steered_server_test,
                            public ::testing::WithParamInterface<const char*> {};

TEST_P(closed_admin_faults, are_refused_by_the_name_of_the_key) {
  const auto response =
      talk(port, request_text(GetParam(), route, R"({"faults":["actor.router=exit"]})"));
  EXPECT_EQ(response.status, 403);
  EXPECT_EQ(json::parse(response.body).at("detail"),
            "/v1/admin/faults is closed: faults.admin_enabled is false");
  EXPECT_EQ(json::parse(response.body).at("code"), "forbidden");
  EXPECT_TRUE(is_alive());
  for (const auto& site : pipe->faults())
    EXPECT_EQ(site.setting, "off") << site.name;
}

INSTANTIATE_TEST_SUITE_P(http, closed_admin_faults, ::testing::Values("GET", "PUT", "DELETE"),
                         [](const auto& at) { return std::string{at.param}; });

/// A body that must be refused, and words that the message must have.
struct refused_body {
  std::string_view name;
  std::string body;
  int status;
  std::string_view says;
};

void PrintTo(const refused_body& r, std::ostream* out) {
  *out << r.name;
}

const std::vector<refused_body>& refused_bodies() {
  static const std::vector<refused_body> all{
      // not JSON
      {"empty", "", 400, "the body is empty"},
      {"not_json", "gpu0.launch=hang", 400, "not JSON: parse error at line 1, column 1"},
      {"truncated", R"({"faults":["cpu.launch=hang")", 400, "unexpected end"},
      {"two_objects", R"({"faults":["cpu.launch=hang"]}{})", 400, "not JSON"},
      {"zero_byte", std::string{R"({"faults":["cpu.launch=hang"]})"} + '\0' + "more", 400,
       "zero byte"},
      // not what it should be
      {"an_array", R"(["cpu.launch=hang"])", 400, "the body is an array"},
      {"a_string", R"("cpu.launch=hang")", 400, "must be a JSON object"},
      {"null", "null", 400, "must be a JSON object"},
      {"no_field", "{}", 400, "neither faults nor setting"},
      {"unknown_field", R"({"fault":["cpu.launch=hang"]})", 400, "unknown field \"fault\""},
      {"both_fields", R"({"faults":["cpu.launch=hang"],"setting":"cpu.launch=hang"})", 400,
       "exactly one of faults and setting"},
      {"field_twice", R"({"faults":["cpu.launch=hang"],"faults":[]})", 400, "exactly one"},
      {"faults_are_text", R"({"faults":"cpu.launch=hang"})", 400,
       "faults is a string: it must be an array of strings"},
      {"faults_are_an_object", R"({"faults":{"cpu.launch":"hang"}})", 400, "faults is an object"},
      {"faults_are_null", R"({"faults":null})", 400, "faults is null"},
      {"a_fault_is_a_number", R"({"faults":["cpu.launch=hang",7]})", 400, "faults[1] is 7"},
      {"a_fault_is_half", R"({"faults":[-0.5]})", 400, "faults[0] is -0.5"},
      {"a_fault_is_negative", R"({"faults":[-1]})", 400, "faults[0] is -1"},
      {"a_fault_is_true", R"({"faults":[true]})", 400, "faults[0] is true or false"},
      {"nested", R"({"faults":)" + std::string(20'000, '['), 400, "faults[0] is an array"},
      {"a_setting_is_a_list", R"({"setting":["cpu.launch=hang"]})", 400,
       "setting is an array: it must be a string"},
      {"no_faults", R"({"faults":[]})", 400, "names no fault"},
      {"blank_setting", R"({"setting":" ; "})", 400, "names no fault"},
      // not a setting
      {"blank_fault", R"({"faults":[""]})", 400, "has no '='"},
      {"no_task", R"({"faults":["dataset.publish=return","cpu.launch"]})", 400,
       "\"cpu.launch\": it has no '='"},
      {"syntax", R"({"faults":["dataset.publish=return","cpu.launch=5%explode"]})", 400,
       "\"explode\" at character 14"},
      {"two_in_one_string", R"({"faults":["dataset.publish=return;cpu.launch=hang"]})", 400,
       "at character 17"},
      {"unknown_site", R"({"faults":["dataset.publish=return","gpu7.launch=hang"]})", 404,
       "known are actor.batcher, "},
      {"unknown_site_in_text", R"({"setting":"dataset.publish=return; gpu7.launch=hang"})", 404,
       "no fault site \"gpu7.launch\""},
      {"task_of_another_site", R"({"faults":["dataset.publish=return","http.send=corrupt"]})", 400,
       "\"http.send\" does not take corrupt; it takes off, return, delay"},
      {"site_twice", R"({"setting":"dataset.publish=return;dataset.publish=off"})", 400,
       "set twice"},
      {"too_large", R"({"setting":")" + std::string(80'000, ' ') + "\"}", 413, "larger than"},
  };
  return all;
}

class bad_faults : public admin_faults, public ::testing::WithParamInterface<refused_body> {};

TEST_P(bad_faults, are_refused_in_words_and_arm_nothing) {
  const auto& given = GetParam();
  const auto response = ask("PUT", given.body);
  EXPECT_EQ(response.status, given.status) << response.body;
  const auto out = json::parse(response.body, nullptr, false);
  ASSERT_TRUE(out.contains("code")) << response.body;
  EXPECT_EQ(out["code"], given.status == 404 ? "not_found" : "invalid_argument");
  const auto message = out["detail"].get<std::string>();
  EXPECT_NE(message.find(given.says), std::string::npos) << message;
  for (const auto& site : pipe->faults())
    EXPECT_EQ(site.setting, "off") << site.name;
  EXPECT_TRUE(is_alive());
}

INSTANTIATE_TEST_SUITE_P(http, bad_faults, ::testing::ValuesIn(refused_bodies()),
                         [](const auto& at) { return std::string{at.param.name}; });

// -- the door's own fault points --

using door_faults = admin_faults;

TEST_F(door_faults, a_request_that_is_not_accepted_is_answered_503_and_reaches_nobody) {
  ASSERT_TRUE(pipe->arm_fault("http.accept=2*return"));
  const auto refused = post(port, "/v1/search", a_search);
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(refused.has_header("Retry-After: 1"));
  EXPECT_EQ(json::parse(refused.body).at("code"), "unavailable");
  EXPECT_EQ(pipe->counts().accepted, 0u);
  EXPECT_EQ(get(port, "/healthz").status, 503);
  EXPECT_TRUE(is_alive());
}

TEST_F(door_faults, an_answer_that_is_not_sent_was_given_once_and_ends_its_connection) {
  ASSERT_TRUE(pipe->arm_fault("http.send=1*return"));
  http_connection connection{port};
  ASSERT_TRUE(connection.send(post_text("/v1/search", a_search)));
  EXPECT_EQ(connection.receive().status, 0) << "cut before the first byte";
  const auto counts = pipe->counts();
  EXPECT_EQ(counts.accepted, 1u);
  EXPECT_EQ(counts.answered, 1u);
  EXPECT_EQ(counts.lost, 0u);
  EXPECT_EQ(counts.late_answers, 0u);
  EXPECT_EQ(pipe->health().in_flight, 0u);
  EXPECT_TRUE(is_alive());
}

TEST_F(door_faults, delays_at_either_end_make_an_answer_late_and_not_wrong) {
  ASSERT_TRUE(
      pipe->arm_faults(split_fault_settings("http.accept=1*delay(30);http.send=1*delay(30)")));
  const auto start = std::chrono::steady_clock::now();
  const auto out = post_json("/v1/search", a_search);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 60ms);
  EXPECT_EQ(out.at("results").at(0).at("hits").at(0).at("id"), 0);
}

TEST_F(door_faults, spare_the_admin_route_so_that_they_can_be_taken_back) {
  ASSERT_EQ(ask("PUT", R"({"faults":["http.accept=return","http.send=return"]})").status, 200);
  EXPECT_EQ(get(port, "/healthz").status, 0);
  EXPECT_EQ(ask("DELETE").status, 200);
  EXPECT_TRUE(is_alive());
}

TEST_F(door_faults, a_held_up_answer_does_not_hold_up_the_end) {
  ASSERT_TRUE(pipe->arm_fault("http.send=1*delay(600000)"));
  http_connection connection{port};
  ASSERT_TRUE(connection.send(post_text("/v1/search", a_search)));
  const auto is_held = [&] {
    for (const auto& site : pipe->faults())
      if (site.name == "http.send") return site.fired == 1;
    return false;
  };
  for (int i = 0; i < 2'000 && !is_held(); ++i)
    std::this_thread::sleep_for(5ms);
  ASSERT_TRUE(is_held());
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(server->stop(10ms)) << "somebody waited";
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

} // namespace engram::testing
