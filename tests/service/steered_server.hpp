#pragma once

#include "engram/service/http/routes.hpp"

#include <optional>

#include "admin_fixture.hpp"
#include "server_fixture.hpp"

namespace engram::testing {

/// The server of server_fixture.hpp with the admin API of a pretended daemon.
class steered_server_test : public server_test {
protected:
  void add_routes(http_router& router) override {
    actions.emplace(*pipe, daemon.controls(*pipe));
    if (opens) actions->open();
    add_admin_routes(router, *pipe, *actions);
  }
  void TearDown() override { server.reset(); } // before what it calls

  bool opens = true; ///< false: the daemon is half made
  pretended_daemon daemon;
  std::optional<admin> actions;
};

} // namespace engram::testing
