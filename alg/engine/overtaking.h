// SPDX-License-Identifier: GPL-2.0-or-later
// Which messages may be handled while another one waits for its doors (alg/doors/gathering_keeper.h).
//
// How it works. Engine::handle() may be called again from within DoorKeeper::open(), deeper in the same stack and with another
// Scratch. What the outer one has in its hands, its transaction, leg and dialog, must stand still meanwhile, and nobody may see
// a half of what it does. So
//     INVITE and responses to it wait; others do not: a REGISTER's binding has to stand when a call comes for it
//     nothing of the same Call-ID comes first, with whatever tags and branch: records are found by it before all else
//     what is no SIP touches no record, and may come first
// Doors, which calls share, are DoorTable's care. Ticks, commands and addresses that go come between messages alone.
#pragma once
#include <string_view>
#include <vector>

#include "alg/base/listed.h"
#include "alg/engine/scratch.h"

namespace sipalg {

class Overtaking {
 public:
  // A message that is not through yet; borrows its bytes, and the scratch it will be handled with. They begin and end like blocks of
  // a program.
  class UnderWay {
   public:
    UnderWay(Overtaking& all, Scratch& scratch, std::string_view bytes);
    ~UnderWay() { scratch_.forget(); }
    UnderWay(const UnderWay&) = delete;
    UnderWay& operator=(const UnderWay&) = delete;

   private:
    friend class Overtaking;
    Scratch& scratch_;
    std::string_view call_id_;
    bool may_wait_ = false;
    Listed<UnderWay> listed_;
  };
  std::size_t depth() const { return under_way_.size(); }
  // May the innermost wait? False as well when there is none, or when so many wait that one more gains nothing.
  bool may_wait() const;
  // `next`: what it will be handled with if it may. Precondition: the innermost waits.
  bool may_come_first(std::string_view bytes, Scratch& next) const;

 private:
  std::vector<UnderWay*> under_way_;  // the innermost last; all but that one wait
};

}  // namespace sipalg
