#include <engram.grpc.pb.h>
#include <gmock/gmock.h>
#include <grpcpp/security/credentials.h>
#include <inference.grpc.pb.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "access/certificates.hpp"
#include "access/files.hpp"
#include "grpc_fixture.hpp"

namespace engram::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

/// What came of a call: its status, and what its trailing metadata say.
struct outcome {
  grpc::Status status;
  std::string code;
  std::string pushback;
};

/// A gRPC door that a derived class closes as it is made.
class grpc_access : public grpc_fixture {
protected:
  class folder final : public folder_test {
  public:
    using folder_test::write;
    void TestBody() override {}
  };

  void use_tokens() {
    door.tokens_file =
        files.write("tokens", "query " + query_token + " one\nadmin " + admin_token + " ops\n");
  }

  /// Calls with a token, if there is one.
  template <class Call>
  static outcome with_token(const std::string& token, const Call& call) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds{20});
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    outcome out{call(context), "", ""};
    const auto& trailing = context.GetServerTrailingMetadata();
    const auto text = [&](const char* name) {
      const auto found = trailing.find(name);
      return found == trailing.end() ? std::string{}
                                     : std::string{found->second.data(), found->second.size()};
    };
    out.code = text("engram-code");
    out.pushback = text("grpc-retry-pushback-ms");
    return out;
  }

  outcome compare(const std::string& token = "") {
    return with_token(token, [&](grpc::ClientContext& context) {
      v1::SimilarityRequest in;
      in.mutable_query()->add_values(1);
      in.mutable_targets()->add_values(1);
      v1::SimilarityResponse out;
      return v1::Engram::NewStub(channel)->Similarity(&context, in, &out);
    });
  }
  outcome list(const std::string& token = "") {
    return with_token(token, [&](grpc::ClientContext& context) {
      v1::ListDatasetsResponse out;
      return v1::Engram::NewStub(channel)->ListDatasets(&context, {}, &out);
    });
  }
  template <class Request, class Response>
  using method = grpc::Status (inference::GRPCInferenceService::Stub::*)(grpc::ClientContext*,
                                                                         const Request&, Response*);
  template <class Request, class Response>
  outcome infer(method<Request, Response> what, const std::string& token = "") {
    return with_token(token, [&](grpc::ClientContext& context) {
      Response out;
      const auto stub = inference::GRPCInferenceService::NewStub(channel);
      return (*stub.*what)(&context, Request{}, &out);
    });
  }

  folder files;
};

class grpc_tokens : public grpc_access {
protected:
  grpc_tokens() { use_tokens(); }
};

TEST_F(grpc_tokens, every_call_but_health_takes_a_token) {
  for (const auto& token : {std::string{}, unknown_token}) {
    for (const auto& refused :
         {compare(token), list(token),
          infer(&inference::GRPCInferenceService::Stub::ModelInfer, token),
          infer(&inference::GRPCInferenceService::Stub::ModelMetadata, token),
          infer(&inference::GRPCInferenceService::Stub::RepositoryIndex, token),
          infer(&inference::GRPCInferenceService::Stub::SystemSharedMemoryRegister, token)}) {
      EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
      EXPECT_EQ(refused.code, "unauthenticated");
      EXPECT_THAT(refused.status.error_message(), Not(HasSubstr("0123456789abcdef")));
    }
    EXPECT_TRUE(infer(&inference::GRPCInferenceService::Stub::ServerLive, token).status.ok());
    EXPECT_TRUE(infer(&inference::GRPCInferenceService::Stub::ServerReady, token).status.ok());
  }
}

TEST_F(grpc_tokens, both_roles_may_query) {
  for (const auto& token : {query_token, admin_token}) {
    EXPECT_TRUE(compare(token).status.ok());
    EXPECT_TRUE(list(token).status.ok());
    EXPECT_TRUE(infer(&inference::GRPCInferenceService::Stub::RepositoryIndex, token).status.ok());
  }
}

TEST_F(grpc_tokens, a_stream_is_refused_when_it_is_opened) {
  for (const auto& token : {std::string{}, unknown_token}) {
    const auto refused = with_token(token, [&](grpc::ClientContext& context) {
      const auto stub = v1::Engram::NewStub(channel);
      const auto stream = stub->Stream(&context);
      v1::StreamResponse out;
      EXPECT_FALSE(stream->Read(&out));
      return stream->Finish();
    });
    EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
    const auto inferences = with_token(token, [&](grpc::ClientContext& context) {
      const auto stub = inference::GRPCInferenceService::NewStub(channel);
      const auto stream = stub->ModelStreamInfer(&context);
      inference::ModelStreamInferResponse out;
      EXPECT_FALSE(stream->Read(&out));
      return stream->Finish();
    });
    EXPECT_EQ(inferences.status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  }
}

TEST_F(grpc_tokens, tokens_that_are_taken_back_are_refused_from_then_on) {
  EXPECT_TRUE(compare(query_token).status.ok());
  files.write("tokens", "query " + unknown_token + "\n");
  auto rules = doorkeeper::read_rules(door);
  ASSERT_TRUE(rules) << rules.error().message;
  keeper->access().use(std::move(*rules));
  EXPECT_EQ(compare(query_token).status.error_code(), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(compare(unknown_token).status.ok());
}

class grpc_limits : public grpc_access {
protected:
  grpc_limits() {
    use_tokens();
    door.client_requests_per_second = 0.01; // none comes back while a test runs
    door.client_burst = 3;
  }
};

TEST_F(grpc_limits, a_client_that_sends_too_much_is_told_when_to_come_back) {
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(compare(query_token).status.ok()) << i;
  const auto refused = compare(query_token);
  EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(refused.code, "overloaded");
  EXPECT_GT(std::stoi(refused.pushback), 50'000);
  EXPECT_LE(std::stoi(refused.pushback), 100'000);
  EXPECT_TRUE(compare(admin_token).status.ok()) << "clients share a bucket";
}

TEST_F(grpc_limits, each_request_of_a_stream_counts) {
  const auto ended = with_token(query_token, [&](grpc::ClientContext& context) {
    const auto stub = v1::Engram::NewStub(channel);
    const auto stream = stub->Stream(&context); // is one itself
    v1::StreamRequest in;
    for (std::uint64_t id = 1; id <= 4; ++id) {
      auto& each = *in.add_requests();
      each.set_id(id);
      each.mutable_similarity()->mutable_query()->add_values(1);
      each.mutable_similarity()->mutable_targets()->add_values(1);
    }
    stream->Write(in);
    stream->WritesDone();
    std::size_t served = 0, refused = 0;
    for (v1::StreamResponse out; stream->Read(&out);)
      for (const auto& each : out.responses()) {
        served += each.has_similarity();
        if (!each.has_error()) continue;
        ++refused;
        EXPECT_EQ(each.error().code(), "overloaded");
        EXPECT_GT(each.error().retry_after_ms(), 50'000u);
      }
    EXPECT_EQ(served, 2u);
    EXPECT_EQ(refused, 2u);
    return stream->Finish();
  });
  EXPECT_TRUE(ended.status.ok()) << ended.status.error_message();
}

/// The door with TLS.
class grpc_tls : public grpc_access {
protected:
  grpc_tls() {
    door.tls_certificate = files.write("server.pem", server_identity.certificate_pem());
    door.tls_key = files.write("server.key", server_identity.key_pem());
  }

  /// Makes the channel one of a client that trusts `roots` and shows `mine`.
  void connect(const identity& roots, const identity* mine = nullptr) {
    grpc::SslCredentialsOptions shown;
    shown.pem_root_certs = roots.certificate_pem();
    if (mine) {
      shown.pem_cert_chain = mine->certificate_pem();
      shown.pem_private_key = mine->key_pem();
    }
    // An address: c-ares leaks a name that it looks up.
    channel = grpc::CreateChannel("127.0.0.1:" + std::to_string(grpc_door->port()),
                                  grpc::SslCredentials(shown));
  }

  const identity authority = make_identity("authority");
  const identity stranger = make_identity("authority of others");
  const identity server_identity = make_identity("server", &authority);
};

TEST_F(grpc_tls, serves_clients_that_trust_its_authority_and_no_others) {
  connect(authority);
  EXPECT_TRUE(compare().status.ok());
  connect(stranger);
  EXPECT_EQ(compare().status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(grpc_tls, serves_nobody_without_tls) {
  EXPECT_EQ(compare().status.error_code(), grpc::StatusCode::UNAVAILABLE);
}

class grpc_mutual_tls : public grpc_tls {
protected:
  grpc_mutual_tls() { door.tls_client_ca = files.write("ca.pem", authority.certificate_pem()); }
};

TEST_F(grpc_mutual_tls, wants_a_certificate_of_its_authority) {
  connect(authority);
  EXPECT_EQ(compare().status.error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto wrong = make_identity("ada", &stranger);
  connect(authority, &wrong);
  EXPECT_EQ(compare().status.error_code(), grpc::StatusCode::UNAVAILABLE);
  const auto right = make_identity("ada", &authority);
  connect(authority, &right);
  EXPECT_TRUE(compare().status.ok());
}

class grpc_limits_by_certificate : public grpc_mutual_tls {
protected:
  grpc_limits_by_certificate() {
    door.client_requests_per_second = 0.01;
    door.client_burst = 1;
  }
};

TEST_F(grpc_limits_by_certificate, count_each_name_for_itself) {
  const auto ada = make_identity("ada", &authority);
  const auto bob = make_identity("bob", &authority);
  connect(authority, &ada);
  EXPECT_TRUE(compare().status.ok());
  EXPECT_EQ(compare().status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  connect(authority, &bob);
  EXPECT_TRUE(compare().status.ok());
}

} // namespace
} // namespace engram::test
