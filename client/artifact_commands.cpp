// dsctl artifact ...
#include <iostream>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/commands.h"
#include "client/documents.h"
#include "client/transfers.h"
#include "proto/digest/digest.h"

namespace ds::client {
namespace {

// The digest that `text` means: a whole one, or the beginning of exactly one.
absl::StatusOr<std::string> find_artifact(Client& client, const std::string& text) {
  if (digest::is_digest(text)) return text;
  auto artifacts = client.artifacts();
  if (!artifacts.ok()) return artifacts.status();
  const std::string begin = absl::StartsWith(text, digest::kPrefix) ? text : absl::StrCat(digest::kPrefix, text);
  std::vector<std::string> found;
  for (const v1::Artifact& artifact : *artifacts) {
    if (absl::StartsWith(artifact.digest(), begin)) found.push_back(artifact.digest());
  }
  if (found.size() == 1) return found[0];
  if (found.empty())
    return absl::NotFoundError(absl::StrCat("no artifact \"", text, "\"; `dsctl artifact list` shows them"));
  return absl::FailedPreconditionError(absl::StrCat("\"", text, "\" may mean ", found.size(), " artifacts"));
}

int put(const Shell& shell, const std::string& file) {
  Transfers transfers(stderr);
  auto digest = shell.client().upload(file, [&](const Transfer& transfer) { transfers.show(transfer); });
  if (!digest.ok()) return shell.fail(digest.status());
  return shell.show({{{"id", *digest}, {"digest", *digest}}, {{"DIGEST", text_at("/digest")}}});
}

int get(const Shell& shell, const std::string& text, const std::string& file) {
  Client client = shell.client();
  auto digest = find_artifact(client, text);
  if (!digest.ok()) return shell.fail(digest.status());
  const std::string path = file.empty() ? digest::hex_of(*digest) : file;
  Transfers transfers(stderr);
  const auto show = [&](const Transfer& transfer) { transfers.show(transfer); };
  if (absl::Status status = client.download(*digest, path, show); !status.ok()) return shell.fail(status);
  return shell.show({{{"id", *digest}, {"digest", *digest}, {"path", path}}, {{"PATH", text_at("/path")}}});
}

}  // namespace

void add_artifact_commands(CLI::App& app, Shell& shell) {
  CLI::App* artifacts = app.add_subcommand("artifact", "Files that jobs name by their content")->require_subcommand(1);
  artifacts->add_subcommand("list", "List artifacts, newest first")->callback([&shell] {
    shell.command = [&shell] {
      auto list = shell.client().artifacts();
      return list.ok() ? shell.show(artifacts_view(*list)) : shell.fail(list.status());
    };
  });
  auto file = std::make_shared<std::string>();
  CLI::App* up = artifacts->add_subcommand("put", "Upload a file, and print its digest");
  up->add_option("FILE", *file, "a local file")->required();
  up->callback([&shell, file] { shell.command = [&shell, file] { return put(shell, *file); }; });
  auto digest = std::make_shared<std::string>();
  auto path = std::make_shared<std::string>();
  CLI::App* down = artifacts->add_subcommand("get", "Download an artifact");
  down->add_option("DIGEST", *digest, "sha256:..., or the beginning of exactly one")->required();
  down->add_option("FILE", *path, "where to; default: its digits, in the working directory");
  down->callback(
      [&shell, digest, path] { shell.command = [&shell, digest, path] { return get(shell, *digest, *path); }; });
}

}  // namespace ds::client
