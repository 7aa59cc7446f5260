// `waferctl users`: the file that says who may use a cluster, and their tokens.
#include <sys/stat.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/flags.h"
#include "base/private_file.h"
#include "base/status.h"
#include "base/users.h"
#include "client/command.h"
#include "client/output.h"
#include "client/table.h"

namespace waferstream {
namespace {

constexpr double kQuotaMax = 1'000'000;

struct UsersFlags {
  std::string file;
  std::string name;
  std::string role;
  int wafers = 0;
  int queued = 0;
  std::string token_file;  // empty: the token is the result
  Format format = Format::kTable;
};

absl::Status ReplaceUsers(const std::string& path, const std::vector<User>& users) {
  struct stat before;
  const mode_t mode = stat(path.c_str(), &before) == 0 ? before.st_mode & 07777 : kPrivate;
  return ReplaceFile(path, FormatUsers(users), mode);
}

// Where to find `name`. NOT_FOUND, naming the file.
absl::StatusOr<std::vector<User>::iterator> FindIn(std::vector<User>& users,
                                                   const UsersFlags& flags) {
  const auto found = std::find_if(users.begin(), users.end(),
                                  [&](const User& user) { return user.name == flags.name; });
  if (found != users.end()) return found;
  return absl::NotFoundError(absl::StrCat(flags.file, ": has no user ", flags.name));
}

// A token that nobody can be given is not left in the users' file.
absl::Status HandOut(const UsersFlags& flags, const std::vector<User>& users,
                     const std::string& token) {
  if (flags.token_file.empty()) {
    RETURN_IF_ERROR(ReplaceUsers(flags.file, users));
    return PrintResult(token + "\n");
  }
  RETURN_IF_ERROR(MakeNewFile(flags.token_file, token + "\n", kPrivate));
  absl::Status replaced = ReplaceUsers(flags.file, users);
  if (!replaced.ok()) std::remove(flags.token_file.c_str());
  return replaced;
}

Outcome Add(const UsersFlags& flags) {
  absl::StatusOr<std::vector<User>> users = ReadUsers(flags.file);
  if (absl::IsNotFound(users.status())) users = std::vector<User>();  // the first one
  RETURN_IF_ERROR(users.status());
  if (FindIn(*users, flags).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(flags.file, ": has a user ", flags.name, " already"));
  }
  ASSIGN_OR_RETURN(const size_t role, ParseWord("--role", flags.role, kUserRoles));
  const std::string token = NewToken();
  users->push_back({.name = flags.name,
                    .role = static_cast<UserRole>(role),
                    .token_hash = HashOfToken(token),
                    .wafers = flags.wafers,
                    .queued = flags.queued});
  RETURN_IF_ERROR(HandOut(flags, *users, token));
  return ExitCode::kOk;
}

Outcome Renew(const UsersFlags& flags) {
  ASSIGN_OR_RETURN(std::vector<User> users, ReadUsers(flags.file));
  ASSIGN_OR_RETURN(const auto user, FindIn(users, flags));
  const std::string token = NewToken();
  user->token_hash = HashOfToken(token);
  RETURN_IF_ERROR(HandOut(flags, users, token));
  return ExitCode::kOk;
}

Outcome Remove(const UsersFlags& flags) {
  ASSIGN_OR_RETURN(std::vector<User> users, ReadUsers(flags.file));
  ASSIGN_OR_RETURN(const auto user, FindIn(users, flags));
  users.erase(user);
  RETURN_IF_ERROR(ReplaceUsers(flags.file, users));
  return ExitCode::kOk;
}

std::string QuotaText(int quota) { return quota == 0 ? "-" : absl::StrCat(quota); }

Outcome List(const UsersFlags& flags) {
  ASSIGN_OR_RETURN(const std::vector<User> users, ReadUsers(flags.file));
  Table table({{"USER"}, {"ROLE"}, {"WAFERS", Align::kRight}, {"QUEUED", Align::kRight}});
  Json json = Json::array();
  for (const User& user : users) {
    table.Add({user.name, WordOf(user.role), QuotaText(user.wafers), QuotaText(user.queued)});
    json.push_back({{"user", user.name},
                    {"role", WordOf(user.role)},
                    {"wafers", user.wafers},
                    {"queued", user.queued}});
  }
  RETURN_IF_ERROR(PrintResult(flags.format, table.Render(), json));
  return ExitCode::kOk;
}

using Act = Outcome (*)(const UsersFlags&);

struct Subcommand {
  CLI::App* app;
  std::shared_ptr<UsersFlags> flags;
};

Subcommand AddSubcommand(CLI::App& users, const char* name, const char* help, Act act,
                         Outcome& outcome) {
  auto flags = std::make_shared<UsersFlags>();
  CLI::App* command = users.add_subcommand(name, help);
  AddPath(*command, "--users", flags->file, "The users' file, as the controller's --users")
      ->required();
  command->callback([flags, act, &outcome] { outcome = act(*flags); });
  return {command, flags};
}

void AddNameArgument(const Subcommand& command) {
  AddName(*command.app, "NAME", command.flags->name, "The user")->required();
}

void AddTokenFlag(const Subcommand& command) {
  AddPath(*command.app, "--new-token", command.flags->token_file,
          "File, not there yet, that gets the token [it is printed]")
      ->configurable(false);
}

void AddTermsFlags(const Subcommand& command) {
  AddWord(*command.app, "--role", command.flags->role, kUserRoles, "What the user may do")
      ->required()
      ->configurable(false);
  AddWhole(*command.app, "--wafers", command.flags->wafers,
           "That the user's jobs may have at a time; 0: no bound [0]", {.high = kQuotaMax})
      ->configurable(false);
  AddWhole(*command.app, "--queued", command.flags->queued,
           "Jobs of the user that may wait; 0: no bound [0]", {.high = kQuotaMax})
      ->configurable(false);
}

}  // namespace

void AddUsersCommand(CLI::App& app, Outcome& outcome) {
  CLI::App* users = app.add_subcommand("users", "Who may use a cluster: a controller's --users");
  users->require_subcommand(1);
  const Subcommand add = AddSubcommand(*users, "add", "Add a user, and make a token", Add, outcome);
  AddNameArgument(add);
  AddTermsFlags(add);
  AddTokenFlag(add);
  const Subcommand renew = AddSubcommand(
      *users, "renew", "Make another token for a user; the old one is nobody's", Renew, outcome);
  AddNameArgument(renew);
  AddTokenFlag(renew);
  AddNameArgument(AddSubcommand(*users, "remove", "Remove a user", Remove, outcome));
  const Subcommand list =
      AddSubcommand(*users, "list", "The users, their roles and quotas", List, outcome);
  AddOutputFlag(*list.app, list.flags->format);
}

}  // namespace waferstream
