// Users of a shared cluster: who may do what, as they find out by waferctl; real processes.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/confine.h"
#include "client/tls_cluster.h"

namespace waferstream {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class UsersE2eTest : public TlsCluster {
 protected:
  UsersE2eTest() {
    AddUser("vera", {"--role", "viewer"});
    AddUser("ada", {"--role", "submitter", "--wafers", "2", "--queued", "1"});
    AddUser("bob", {"--role", "submitter"});
    AddUser("root", {"--role", "admin"});
  }

  std::string File(const std::string& name) const { return (harness_.dir() / name).string(); }
  void AddUser(const std::string& name, std::vector<std::string> terms) {
    terms.insert(terms.begin(), {"users", "add", name, "--users", File("users.json"), "--new-token",
                                 File(name + ".token")});
    EXPECT_EQ(harness_.Run(terms)->out(), "");
  }
  std::vector<std::string> As(const std::string& name, std::vector<std::string> command) const {
    command.insert(command.end(), {"--token-file", File(name + ".token")});
    return AsUser(std::move(command));
  }
  std::string Submit(const std::string& name) {
    return harness_.Run(As(name, {"submit", "-f", "job.yaml", "-o", "json"}))->json()["job"];
  }
  std::string Refusal(const std::vector<std::string>& command, int exit_code = 5) {
    const std::string said = harness_.Run(command, exit_code)->err();
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
    return said;
  }
  std::string Text(const std::string& name) const {
    std::ifstream file(File(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(UsersE2eTest, EverybodyDoesWhatTheirRoleSays) {
  harness_.WriteJob(4);
  StartController({"--users", File("users.json")});
  EXPECT_THAT(Refusal(AsUser({"list"})), HasSubstr("asks for a token"));
  harness_.Run(As("vera", {"list"}));
  EXPECT_THAT(Refusal(As("vera", {"submit", "-f", "job.yaml"})),
              HasSubstr("vera has the role viewer, and this takes submitter"));
  const std::string job = Submit("ada");
  EXPECT_EQ(harness_.Run(As("vera", {"get", job, "-o", "json"}))->json()["user"], "ada");
  EXPECT_THAT(harness_.Run(As("vera", {"list"}))->out(), HasSubstr("USER"));
  EXPECT_THAT(Refusal(As("bob", {"cancel", job})),
              HasSubstr(job + " is a job of ada, and bob may only change jobs of their own"));
  EXPECT_THAT(Refusal(As("bob", {"nodes", "drain", "w0"})),
              HasSubstr("bob has the role submitter, and this takes admin"));
  harness_.Run(As("ada", {"cancel", job}));
  harness_.Run(As("root", {"cancel", Submit("bob")}));
}

TEST_F(UsersE2eTest, QuotasAreKeptAndChangeWhenTheFileDoes) {
  harness_.WriteJob(4);
  StartController({"--users", File("users.json")});
  EXPECT_THAT(Refusal(As("ada", {"submit", "-f", "job.yaml", "--set", "cluster.wafers=4"}), 2),
              HasSubstr("cluster.wafers: 4, and ada may have 2"));
  const std::string first = Submit("ada");  // there are no nodes: it waits
  EXPECT_THAT(Refusal(As("ada", {"submit", "-f", "job.yaml"}), 1),
              HasSubstr("1 jobs of ada wait, as many as may"));
  Submit("bob");
  harness_.Run({"users", "remove", "ada", "--users", File("users.json")});
  EXPECT_THAT(Refusal(As("ada", {"list"})), HasSubstr("the token is nobody's"));
}

TEST_F(UsersE2eTest, ChangesAreAuditedAndTokensStayUnseen) {
  harness_.WriteJob(4);
  StartController(
      {"--users", File("users.json"), "--log", File("controller.log"), "--log-level", "debug"});
  const std::string job = Submit("ada");
  Refusal(As("bob", {"cancel", job}));
  Refusal(As("vera", {"cancel", job}));
  harness_.Run(As("root", {"cancel", job}));
  const std::string audit = Text("state/audit.jsonl");
  for (const char* part : {R"("stage":"asked","method":"Submit","user":"ada")",
                           R"("stage":"answered","method":"Submit","user":"ada")",
                           R"("stage":"answered","method":"Cancel","user":"bob")",
                           R"("code":"PERMISSION_DENIED","message":"denied: )",
                           R"("stage":"refused","method":"Cancel","user":"vera")",
                           R"("stage":"answered","method":"Cancel","user":"root")"}) {
    EXPECT_THAT(audit, HasSubstr(part));
  }
  for (const char* user : {"ada", "bob", "vera", "root"}) {
    std::string token = Text(std::string(user) + ".token");
    token.pop_back();
    for (const char* file : {"state/audit.jsonl", "controller.log", "users.json"}) {
      EXPECT_THAT(Text(file), Not(HasSubstr(token))) << file;
    }
  }
}

TEST_F(UsersE2eTest, ATokenIsNotSentInTheClearNorTakenThere) {
  EXPECT_THAT(
      Refusal({"list", "--controller", "192.0.2.1:7000", "--token-file", File("ada.token")}, 2),
      HasSubstr("--token-file: the token would be sent in the clear to 192.0.2.1"));
  CtlCall& controller = Start("controller", {"--state", File("state"), "--listen", "0.0.0.0",
                                             "--insecure", "--users", File("users.json")});
  EXPECT_EQ(controller.Wait(), 1);
  EXPECT_THAT(controller.err(), HasSubstr("--users: tokens would be sent in the clear"));
  processes_.pop_back();
}

TEST_F(UsersE2eTest, TheFileIsMadeByTheCommand) {
  const std::string users = File("users.json");
  EXPECT_THAT(harness_.Run({"users", "list", "--users", users})->out(), HasSubstr("submitter"));
  EXPECT_THAT(Refusal({"users", "add", "ada", "--users", users, "--role", "viewer"}, 2),
              HasSubstr("users.json: has a user ada already"));
  EXPECT_THAT(Refusal({"users", "add", "eve", "--users", users, "--role", "king"}, 2),
              HasSubstr("--role: \"king\" must be one of"));
  EXPECT_THAT(Refusal({"users", "remove", "eve", "--users", users}, 3),
              HasSubstr("has no user eve"));
  EXPECT_THAT(
      Refusal({"users", "renew", "ada", "--users", users, "--new-token", File("ada.token")}, 1),
      HasSubstr("ada.token: File exists"));
  const std::string before = Text("users.json");
  const std::string token = harness_.Run({"users", "renew", "ada", "--users", users})->out();
  EXPECT_THAT(token, HasSubstr("wst_"));
  EXPECT_NE(Text("users.json"), before);
}

class RootsE2eTest : public TlsCluster {
 protected:
  // The job's data are in root/; what others have, in out/.
  RootsE2eTest() {
    harness_.WriteJob(4);
    fs::create_directory(Path("root"));
    fs::create_directory(Path("out"));
    for (const char* file : {"train.bin", "val.bin"}) {
      fs::copy_file(Path(file), Path("root") / file);
      fs::copy_file(Path(file), Path("out") / file);
    }
  }
  fs::path Path(const std::string& name) const { return harness_.dir() / name; }
  // No `checkpoints`: the job does not say where they go.
  std::vector<std::string> Submit(const std::string& train, const std::string& checkpoints) {
    std::vector<std::string> args = {
        "submit",   "-f",
        "job.yaml", "--wait",
        "--set",    "data.train=" + train,
        "--set",    "data.validation=" + (Path("root") / "val.bin").string()};
    if (!checkpoints.empty()) args.insert(args.end(), {"--set", "checkpoint.dir=" + checkpoints});
    return AsUser(args);
  }
  std::string Refusal(const std::string& train, const std::string& checkpoints) {
    return harness_.Run(Submit(train, checkpoints), 2)->err();
  }
};

TEST_F(RootsE2eTest, JobsStayBelowTheRoots) {
  const std::string root = Path("root"), out = Path("out");
  StartController({"--roots", root});
  EXPECT_THAT(Refusal(out + "/train.bin", root + "/c"),
              HasSubstr("data.train: " + out + "/train.bin is outside of where jobs may"));
  EXPECT_THAT(Refusal(root + "/train.bin", root + "/../out/c"), HasSubstr("checkpoint.dir: "));
  fs::create_symlink(out, root + "/link");
  EXPECT_THAT(Refusal(root + "/link/train.bin", root + "/c"), HasSubstr("leads to " + out));
  EXPECT_THAT(Refusal(root + "/train.bin", root + "/link/c"), HasSubstr("leads to " + out));
  fs::remove(root + "/link");
  // Without a folder its checkpoints would be the controller's, which no MemoryX node may write.
  EXPECT_THAT(Refusal(root + "/train.bin", ""), HasSubstr("checkpoint.dir is not given"));
  StartNodes({"--roots", root});
  harness_.Run(Submit(root + "/train.bin", root + "/c"));
  EXPECT_TRUE(fs::exists(root + "/c"));
}

// A link that is good when the job is submitted, and leads elsewhere when a node opens it.
TEST_F(RootsE2eTest, ALinkThatChangesLaterIsNotFollowedOut) {
  if (!CanConfine()) GTEST_SKIP() << "this kernel has no Landlock";
  const fs::path root = Path("root"), link = root / "link.bin";
  StartController({"--roots", root});
  fs::create_symlink(root / "train.bin", link);
  auto call = harness_.Start(Submit(link, root / "c"));  // it waits for nodes
  const auto submitted = [&] {
    return harness_.Run(AsUser({"list"}))->out().find("QUEUED") != std::string::npos;
  };
  ASSERT_TRUE(WaitFor(submitted)) << call->err();
  fs::remove(link);
  fs::create_symlink(Path("out") / "train.bin", link);
  StartNodes({"--roots", root});
  EXPECT_EQ(call->Wait(), 1);
  EXPECT_THAT(call->err(), HasSubstr("data.train: " + link.string() + ": Permission denied"));
}

}  // namespace
}  // namespace waferstream
