// Lists by page, newest first: the token of a page is the order of submission that it begins below.
#pragma once
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "coordinator/daemon.h"
#include "coordinator/rpc/errors.h"

namespace ds::coordinator {

inline constexpr int kPage = 100, kMostOnAPage = 1000;

// Answers a List. index: orders of submission to ids; add(state, id) puts one more into the response.
template <class Request, class Response, class Add>
void list_page(Daemon& daemon, grpc::ServerUnaryReactor* reactor, const Request* request, Response* response,
               std::map<int64_t, std::string> State::*index, Add add) {
  int64_t before = INT64_MAX;
  if (!request->page_token().empty() && (!absl::SimpleAtoi(request->page_token(), &before) || before < 1)) {
    reactor->Finish(to_grpc(absl::InvalidArgumentError(
                                absl::StrCat("[List] page_token \"", request->page_token(), "\" is not one of ours")),
                            {detail("page_token", request->page_token(), "next_page_token of the page before")}));
    return;
  }
  const int size = request->page_size() > 0 ? std::min(request->page_size(), kMostOnAPage) : kPage;
  daemon.mind().ask([=](const State& state) {
    const auto& all = state.*index;
    auto at = all.lower_bound(before);
    for (int left = size; at != all.begin() && left > 0; --left) add(state, (--at)->second);
    if (at != all.begin()) response->set_next_page_token(absl::StrCat(at->first));
    reactor->Finish(grpc::Status::OK);
  });
}

}  // namespace ds::coordinator
