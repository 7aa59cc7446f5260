// Who is let in, and who is believed: real calls on the loopback interface, and proofs alone.
#include "rpc/doorkeeper.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "proto/controller.grpc.pb.h"
#include "rpc/channel.h"
#include "rpc/server.h"
#include "rpc/status.h"

namespace waferstream {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

Credentials SecretOf(int seed) {
  std::array<std::byte, ClusterSecret::kBytes> key = {};
  key[0] = static_cast<std::byte>(seed);
  return {.secret = std::make_shared<const ClusterSecret>(key)};
}

// Two methods, a stream among them, behind a door; a third one is for admins.
class GuardedService final : public Controller::Service {
 public:
  explicit GuardedService(Credentials credentials)
      : door(std::move(credentials), Controller::service_full_name(),
             [this](const std::string& line) {
               absl::MutexLock lock(&mutex);
               log.push_back(line);
             }) {}

  grpc::Status Version(grpc::ServerContext* context, const Empty*, VersionReply* reply) override {
    for (const auto& [key, value] : context->client_metadata()) {
      if (key == kProofKey) heard_proof = std::string(value.data(), value.size());
    }
    const grpc::Status admitted = door.Admit(*context, Caller::kUser);
    if (!admitted.ok()) return admitted;
    reply->set_version("secret");
    return answer;
  }
  grpc::Status Watch(grpc::ServerContext* context, const JobRef*,
                     grpc::ServerWriter<JobStatus>* writer) override {
    const grpc::Status admitted = door.Admit(*context, Caller::kUser);
    if (!admitted.ok()) return admitted;
    JobStatus status;
    status.set_job_id("j");
    status.set_state(DONE);
    writer->Write(status);
    return grpc::Status::OK;
  }

  grpc::Status CordonNode(grpc::ServerContext* context, const CordonRequest*,
                          NodeStatus* reply) override {
    User user;
    const grpc::Status admitted = door.Admit(*context, Caller::kAdmin, &user);
    reply->set_node_id(user.name);
    return admitted;
  }

  Doorkeeper door;
  grpc::Status answer;
  std::string heard_proof;
  absl::Mutex mutex;
  std::vector<std::string> log;
};

class DoorkeeperTest : public ::testing::Test {
 protected:
  void Serve(const Credentials& credentials) {
    service_ = std::make_unique<GuardedService>(credentials);
    auto running = StartServer(*service_, {.door = &service_->door});
    ASSERT_TRUE(running.ok()) << running.status();
    running_ = *std::move(running);
  }
  ~DoorkeeperTest() override {
    if (running_.server) running_.server->Shutdown(std::chrono::system_clock::now());
  }

  std::unique_ptr<Controller::Stub> Stub(const Credentials& credentials) {
    return Controller::NewStub(
        OpenChannel(absl::StrCat("127.0.0.1:", running_.port), kUserToController, credentials));
  }
  absl::Status Call(const Credentials& credentials, const std::string& raw_proof = "") {
    grpc::ClientContext context;
    if (!raw_proof.empty()) context.AddMetadata(kProofKey, raw_proof);
    VersionReply reply;
    const absl::Status status = ToAbsl(Stub(credentials)->Version(&context, Empty(), &reply));
    EXPECT_EQ(reply.version(), status.ok() ? "secret" : "");
    return status;
  }
  // The status of a Watch, and the state that it showed before.
  std::pair<absl::Status, JobState> Watch(const Credentials& credentials) {
    grpc::ClientContext context;
    auto stream = Stub(credentials)->Watch(&context, JobRef());
    JobStatus status, last;
    while (stream->Read(&status)) last = status;
    return {ToAbsl(stream->Finish()), last.state()};
  }

  std::unique_ptr<GuardedService> service_;
  RunningServer running_;
};

class UsersTest : public DoorkeeperTest {
 protected:
  UsersTest() { WriteUsers({"ada", "root"}); }

  // Ada looks, root does everything; each one's token is the name.
  void WriteUsers(const std::vector<std::string>& names) {
    std::vector<User> users;
    for (const std::string& name : names) {
      users.push_back({.name = name,
                       .role = name == "root" ? UserRole::kAdmin : UserRole::kViewer,
                       .token_hash = HashOfToken(name)});
    }
    std::ofstream(path_ + ".new") << FormatUsers(users);
    std::filesystem::rename(path_ + ".new", path_);
  }
  void ServeUsers() {
    auto users = Users::Load(path_, [](const std::string&) {});
    ASSERT_TRUE(users.ok()) << users.status();
    Serve({.users = *users});
  }
  // Of a method for whoever is let in, or for admins alone.
  absl::Status CallAs(const std::string& authorization, bool admin) {
    grpc::ClientContext context;
    if (!authorization.empty()) context.AddMetadata(kTokenKey, authorization);
    const auto stub = Stub({});
    VersionReply version;
    if (!admin) return ToAbsl(stub->Version(&context, Empty(), &version));
    NodeStatus node;
    const absl::Status status = ToAbsl(stub->CordonNode(&context, CordonRequest(), &node));
    EXPECT_EQ(node.node_id(), status.ok() ? "root" : "");
    return status;
  }

  const std::string path_ = ::testing::TempDir() + "/door-users.json";
};

TEST_F(UsersTest, ATokenSaysWhoItIsAndTheRoleWhatTheyMayDo) {
  ServeUsers();
  EXPECT_EQ(CallAs("Bearer ada", false), absl::OkStatus());
  EXPECT_EQ(CallAs("Bearer root", false), absl::OkStatus());
  EXPECT_EQ(CallAs("Bearer root", true), absl::OkStatus());
  const absl::Status viewer = CallAs("Bearer ada", true);
  EXPECT_EQ(viewer.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(viewer.message(), "denied: ada has the role viewer, and this takes admin");
}

TEST_F(UsersTest, WithoutATokenOfSomebodyNobodyIsLetIn) {
  ServeUsers();
  for (const std::string& shown : std::vector<std::string>{
           "", "ada", "Bearer ", "Bearer", "bearer ada", "Bearer ada ", "Bearer Ada", "Basic ada",
           "Bearer " + HashOfToken("ada"), "Bearer " + std::string(8000, 'a')}) {
    const absl::Status status = CallAs(shown, false);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated) << shown;
    EXPECT_EQ(std::string(status.message()).find("ada"), std::string::npos) << status;
  }
  for (const std::string& line : service_->log) EXPECT_EQ(line.find("Bearer a"), std::string::npos);
}

TEST_F(UsersTest, WhoIsTakenOutOfTheFileIsNobody) {
  ServeUsers();
  EXPECT_EQ(CallAs("Bearer ada", false), absl::OkStatus());
  WriteUsers({"root"});
  EXPECT_EQ(CallAs("Bearer ada", false).code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(CallAs("Bearer root", false), absl::OkStatus());
}

TEST_F(UsersTest, WithoutUsersEverybodyMayDoEverything) {
  Serve({});
  grpc::ClientContext context;
  NodeStatus node;
  EXPECT_TRUE(Stub({})->CordonNode(&context, CordonRequest(), &node).ok());
  EXPECT_EQ(node.node_id(), "");
}

TEST_F(DoorkeeperTest, WhoKnowsTheSecretIsServed) {
  Serve(SecretOf(1));
  EXPECT_EQ(Call(SecretOf(1)), absl::OkStatus());
  EXPECT_EQ(Watch(SecretOf(1)), std::make_pair(absl::OkStatus(), DONE));
  // An error of the service is its own word, too.
  service_->answer = {grpc::NOT_FOUND, "no such job"};
  EXPECT_EQ(ToAbsl(service_->answer).message(), "no such job");
  grpc::ClientContext context;
  VersionReply reply;
  EXPECT_EQ(ToAbsl(Stub(SecretOf(1))->Version(&context, Empty(), &reply)),
            absl::NotFoundError("no such job"));
}

TEST_F(DoorkeeperTest, WhoDoesNotIsRefusedInOneLine) {
  Serve(SecretOf(1));
  for (const Credentials& credentials : {Credentials(), SecretOf(2)}) {
    EXPECT_TRUE(absl::IsUnauthenticated(Call(credentials)));
    const auto [status, state] = Watch(credentials);
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
    EXPECT_EQ(state, QUEUED) << "nothing was shown";
    EXPECT_THAT(std::string(status.message()), HasSubstr("denied: "));
  }
  absl::MutexLock lock(&service_->mutex);
  EXPECT_THAT(service_->log, SizeIs(4));
  EXPECT_THAT(service_->log[0], HasSubstr("refused a call from ipv4:127.0.0.1:"));
  EXPECT_THAT(service_->log[0], HasSubstr("--secret-file"));
}

TEST_F(DoorkeeperTest, RefusalsDoNotFillTheLog) {
  Serve(SecretOf(1));
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(absl::IsUnauthenticated(Call({})));
  absl::MutexLock lock(&service_->mutex);
  EXPECT_LE(service_->log.size(), 2u * LineLimit::kLinesMax);
}

// Whoever took a dead process's port gets no answer that is believed, and no secret.
TEST_F(DoorkeeperTest, AListenerWithoutTheSecretIsNotBelieved) {
  for (const Credentials& theirs : {Credentials(), SecretOf(2)}) {
    Serve(theirs);
    EXPECT_TRUE(absl::IsUnauthenticated(Call(SecretOf(1))));
    service_->answer = {grpc::NOT_FOUND, "no such job"};
    EXPECT_TRUE(absl::IsUnauthenticated(Call(SecretOf(1)))) << "nor is an error";
    const auto [status, state] = Watch(SecretOf(1));
    EXPECT_TRUE(absl::IsUnauthenticated(status)) << status;
    EXPECT_EQ(state, QUEUED) << "not DONE, as it said";
  }
}

TEST_F(DoorkeeperTest, AProofIsOfNoUseElsewhere) {
  Serve(Credentials());  // listens to proofs
  EXPECT_TRUE(absl::IsUnauthenticated(Call(SecretOf(1))));
  const std::string heard = service_->heard_proof;
  ASSERT_THAT(heard, SizeIs(testing::Gt(64u)));
  running_.server->Shutdown();
  Serve(SecretOf(1));  // the real one, on another port
  EXPECT_TRUE(absl::IsUnauthenticated(Call({}, heard)));
}

TEST_F(DoorkeeperTest, WithoutASecretEverybodyIsServed) {
  Serve(Credentials());
  EXPECT_EQ(Call({}), absl::OkStatus());
}

TEST_F(DoorkeeperTest, NobodyThereIsStillUnavailable) {
  Serve(SecretOf(1));
  auto stub = Stub(SecretOf(1));
  running_.server->Shutdown();
  grpc::ClientContext context;
  VersionReply reply;
  EXPECT_EQ(stub->Version(&context, Empty(), &reply).error_code(), grpc::UNAVAILABLE);
  grpc::ClientContext watch;
  auto stream = stub->Watch(&watch, JobRef());
  JobStatus status;
  EXPECT_FALSE(stream->Read(&status));
  EXPECT_EQ(stream->Finish().error_code(), grpc::UNAVAILABLE);
}

// -- proofs alone --------------------------------------------------------------------------------

class ProofTest : public ::testing::Test {
 protected:
  absl::Status Check(const std::string& proof, absl::Time now, const Audience& audience,
                     absl::Duration listening = absl::Hours(1)) {
    return CheckProof(*secret_, audience, proof, now, listening);
  }

  const std::shared_ptr<const ClusterSecret> secret_ = SecretOf(1).secret;
  const Audience here_ = {.service = "waferstream.Node", .port = 80};
  const absl::Time then_ = absl::FromUnixSeconds(1000000);
  const std::string proof_ = MakeProof(*secret_, here_, then_);
};

TEST_F(ProofTest, HoldsForItsAudienceAndItsTime) {
  EXPECT_EQ(Check(proof_, then_, here_), absl::OkStatus());
  EXPECT_EQ(Check(proof_, then_ + kProofAgeMax, here_), absl::OkStatus());
  EXPECT_EQ(Check(proof_, then_ - kProofAgeMax, here_), absl::OkStatus()) << "a slow clock here";
  for (const Audience& other : {Audience{"waferstream.Node", 81}, {"waferstream.Controller", 80}}) {
    EXPECT_TRUE(absl::IsUnauthenticated(Check(proof_, then_, other)));
  }
}

// It may be made again, so it is not final.
TEST_F(ProofTest, OutOfItsTimeItIsWorthAnotherTry) {
  for (const absl::Time now :
       {then_ + kProofAgeMax + absl::Seconds(1), then_ - kProofAgeMax - absl::Seconds(1)}) {
    EXPECT_TRUE(absl::IsUnavailable(Check(proof_, now, here_)));
  }
  // Whoever had this port before may have heard it.
  EXPECT_TRUE(absl::IsUnavailable(
      Check(proof_, then_ + absl::Seconds(5), here_, /*listening=*/absl::Seconds(4))));
  EXPECT_EQ(Check(proof_, then_ + absl::Seconds(5), here_, absl::Seconds(6)), absl::OkStatus());
}

TEST_F(ProofTest, WhatIsNoneIsRefused) {
  const size_t dash = proof_.find('-');
  for (const std::string& bad :
       {std::string(), std::string("-"), std::string("--"), std::string("a-b-c"), proof_ + "0",
        proof_.substr(1), absl::StrCat("1", proof_), proof_.substr(dash), proof_ + "-",
        absl::StrCat("9", proof_.substr(dash)), std::string(1 << 20, '-')}) {
    EXPECT_TRUE(absl::IsUnauthenticated(Check(bad, then_, here_))) << bad.substr(0, 100);
  }
}

TEST_F(ProofTest, NoProofIsMadeTwiceAndNoneShowsTheSecret) {
  EXPECT_NE(MakeProof(*secret_, here_, then_), proof_);
  const std::string answer = MakeAnswer(*secret_, here_, proof_);
  EXPECT_TRUE(CheckAnswer(*secret_, here_, proof_, answer));
  EXPECT_FALSE(CheckAnswer(*secret_, here_, proof_ + "0", answer));
  EXPECT_FALSE(CheckAnswer(*SecretOf(2).secret, here_, proof_, answer));
  EXPECT_FALSE(CheckAnswer(*secret_, {here_.service, 81}, proof_, answer));
  // A caller's own proof is no answer to it.
  EXPECT_FALSE(CheckAnswer(*secret_, here_, proof_, proof_));
  EXPECT_FALSE(CheckAnswer(*secret_, here_, proof_, proof_.substr(proof_.rfind('-') + 1)));
}

}  // namespace
}  // namespace waferstream
