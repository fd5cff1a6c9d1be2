// The dashboard's page, what it is made of and its stream, over real connections.

#include "engram/service/dashboard/routes.hpp"

#include <memory>
#include <optional>
#include <regex>
#include <thread>

#include "server_fixture.hpp"

namespace engram::testing {

using namespace std::chrono_literals;

class dashboard : public server_test {
protected:
  void add_routes(http_router& router) override {
    feed.emplace(*pipe);
    feed->hold_readiness({});
    add_dashboard_routes(router, *feed);
  }
  void TearDown() override { server.reset(); }

  std::string tag_of(std::string_view path) {
    const auto head = get(port, path).head;
    std::smatch found;
    return std::regex_search(head, found, std::regex{"ETag: (\"[0-9a-f]+\")"}) ? found[1].str()
                                                                               : "";
  }
  std::unique_ptr<http_connection> listen() {
    auto connection = std::make_unique<http_connection>(port);
    connection->send("GET /dashboard/events HTTP/1.1\r\nHost: test\r\n\r\n");
    return connection;
  }

  std::optional<dashboard_feed> feed; ///< ends after the server
};

TEST_F(dashboard, the_page_and_all_that_it_names_are_there) {
  const auto page = get(port, "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_TRUE(page.has_header("Content-Type: text/html; charset=utf-8"));
  const std::regex reference{R"re((?:src|href)="(/dashboard/[^"]+)")re"};
  const std::regex import{R"re(from "\./([a-z]+\.js)")re"};
  std::vector<std::string> wanted;
  for (std::sregex_iterator it{page.body.begin(), page.body.end(), reference}, end; it != end; ++it)
    wanted.push_back((*it)[1]);
  EXPECT_GE(wanted.size(), 4u);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto part = get(port, wanted[i]);
    EXPECT_EQ(part.status, 200) << wanted[i];
    EXPECT_FALSE(part.body.empty()) << wanted[i];
    if (part.has_header("Content-Type: text/javascript"))
      for (std::sregex_iterator it{part.body.begin(), part.body.end(), import}, end; it != end;
           ++it)
        if (const auto path = "/dashboard/" + (*it)[1].str();
            std::find(wanted.begin(), wanted.end(), path) == wanted.end())
          wanted.push_back(path);
  }
  EXPECT_GE(wanted.size(), 12u);
}

TEST_F(dashboard, what_it_is_not_made_of_is_not_found) {
  for (const auto* path : {"/dashboard/", "/dashboard/page.html", "/dashboard/..%2Fsecret"})
    EXPECT_EQ(get(port, path).status, 404) << path;
}

TEST_F(dashboard, the_page_may_load_from_here_alone_and_has_nothing_inline) {
  const auto page = get(port, "/");
  EXPECT_TRUE(page.has_header("Content-Security-Policy: default-src 'none'; script-src 'self'; "));
  EXPECT_TRUE(page.has_header("frame-ancestors 'none'"));
  EXPECT_EQ(page.head.find("unsafe"), std::string::npos);
  EXPECT_FALSE(std::regex_search(page.body, std::regex{R"( style=| on[a-z]+=|<style|<script>)"}));
  EXPECT_FALSE(std::regex_search(page.body, std::regex{R"((src|href)="(https?:)?//)"}));
}

TEST_F(dashboard, what_a_browser_has_already_is_not_sent_again) {
  for (const auto* path : {"/", "/dashboard/app.js", "/dashboard/chart.js"}) {
    const auto tag = tag_of(path);
    ASSERT_NE(tag, "") << path;
    const auto again =
        talk(port, "GET " + std::string{path} + " HTTP/1.1\r\nHost: test\r\nIf-None-Match: W/" +
                       tag + "\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(again.status, 304) << path;
    EXPECT_EQ(again.body, "");
    EXPECT_TRUE(again.has_header("Cache-Control: no-cache"));
    EXPECT_TRUE(again.has_header("ETag: " + tag));
  }
  EXPECT_NE(tag_of("/dashboard/app.js"), tag_of("/dashboard/way.js"));
}

TEST_F(dashboard, listeners_hear_the_history_and_then_what_requests_did) {
  auto connection = listen();
  const auto begin = connection->receive_until("\r\n\r\n");
  EXPECT_NE(begin.find("Content-Type: text/event-stream"), std::string::npos);
  EXPECT_NE(begin.find("Cache-Control: no-store"), std::string::npos);
  connection->receive_until("event: history\ndata: ");
  const auto history = nlohmann::json::parse(connection->receive_until("\n\n"));
  EXPECT_EQ(history.at("now").at("state"), "ready");
  EXPECT_EQ(history.at("events").size(), 3u); // the datasets
  EXPECT_TRUE(is_alive());
  double answers = 0;
  const auto until = clock_type::now() + 20s;
  while (answers == 0 && clock_type::now() < until) {
    connection->receive_until("event: update\ndata: ");
    const auto update = nlohmann::json::parse(connection->receive_until("\n\n"));
    for (const auto& sample : update.at("samples"))
      answers += sample.at("ok").get<double>();
  }
  EXPECT_GT(answers, 0);
}

TEST_F(dashboard, no_more_listen_than_there_is_room_for_and_a_seat_is_free_again) {
  auto first = listen(), second = listen(); // a quarter of 8 threads
  first->receive_until("event: history");
  second->receive_until("event: history");
  const auto third = get(port, "/dashboard/events");
  EXPECT_EQ(third.status, 503);
  EXPECT_TRUE(third.has_header("Retry-After: "));
  EXPECT_TRUE(is_alive());
  second.reset();
  std::string heard;
  const auto until = clock_type::now() + 20s;
  while (heard.find("200 OK") == std::string::npos && clock_type::now() < until) {
    std::this_thread::sleep_for(50ms); // until the server has noticed
    heard = listen()->receive_until("\r\n");
  }
  EXPECT_NE(heard.find("200 OK"), std::string::npos) << heard;
}

TEST_F(dashboard, a_stream_ends_when_the_server_stops) {
  auto connection = listen();
  connection->receive_until("event: history");
  const auto begin = clock_type::now();
  EXPECT_TRUE(server->stop(20s));
  EXPECT_LT(clock_type::now() - begin, 10s);
  EXPECT_NE(connection->receive_until("no such mark").size(), 0u);
}

} // namespace engram::testing
