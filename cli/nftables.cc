// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/nftables.h"

#include <nftables/libnftables.h>

#include <memory>

#include "alg/daemon/privileges.h"
#include "alg/zones/zone_policy.h"
#include "cli/client.h"

namespace sipalg {
namespace {

struct Free {
  void operator()(nft_ctx* context) const { nft_ctx_free(context); }
};

std::string cure_for(const std::string& error) {
  if (error.find("Operation not permitted") == std::string::npos) return "`sipalgctl firewall` prints what was to be loaded";
  if (!has_net_admin()) return "this needs CAP_NET_ADMIN: use sudo";
  return "another program owns the table inet " + std::string(zones_table) +
         " (nft's flag `owner`), and it goes when that program ends; `nft list tables` shows it";
}

// nft repeats a refusal for every line of the text, with the line below it and marks. The first without its place, which
// is that of a text nobody has seen.
std::string first_reason(std::string_view errors) {
  std::string_view line = errors.substr(0, errors.find('\n'));
  constexpr std::string_view mark = "Error: ";
  if (const auto at = line.find(mark); at != std::string_view::npos) line.remove_prefix(at + mark.size());
  return line.empty() ? "nft gives no reason" : std::string(line);
}

} // namespace

void load_rules(const std::string& rules) {
  const std::unique_ptr<nft_ctx, Free> context(nft_ctx_new(NFT_CTX_DEFAULT));
  if (!context || nft_ctx_buffer_error(context.get()) != 0 || nft_ctx_buffer_output(context.get()) != 0)
    throw CommandError("libnftables does not start");
  if (nft_run_cmd_from_buffer(context.get(), rules.c_str()) == 0) return;
  const std::string error = first_reason(nft_ctx_get_error_buffer(context.get()));
  throw CommandError("the rules were not loaded, nothing has changed: " + error + "; " + cure_for(error));
}

} // namespace sipalg
