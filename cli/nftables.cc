// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/nftables.h"

#include <nftables/libnftables.h>

#include <memory>

#include "cli/client.h"

namespace sipalg {
namespace {

struct Free {
  void operator()(nft_ctx* context) const { nft_ctx_free(context); }
};

std::string cure_for(const std::string& error) {
  if (error.find("Operation not permitted") != std::string::npos) return "this needs CAP_NET_ADMIN: use sudo";
  return "`sipalgctl firewall` prints what was to be loaded";
}

} // namespace

void load_rules(const std::string& rules) {
  const std::unique_ptr<nft_ctx, Free> context(nft_ctx_new(NFT_CTX_DEFAULT));
  if (!context || nft_ctx_buffer_error(context.get()) != 0 || nft_ctx_buffer_output(context.get()) != 0)
    throw CommandError("libnftables does not start");
  if (nft_run_cmd_from_buffer(context.get(), rules.c_str()) == 0) return;
  std::string error = nft_ctx_get_error_buffer(context.get());
  while (error.ends_with('\n')) error.pop_back();
  throw CommandError("the rules were not loaded, nothing has changed: " + error + "\n" + cure_for(error));
}

} // namespace sipalg
