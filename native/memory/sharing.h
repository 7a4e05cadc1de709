// Sharing: lends a region to processes of the same user, which map its memory with no copy. A borrower connects to a Unix
// socket and gets a description and one file descriptor per chunk; the loan lasts until its connection ends, by its own
// will or with its process.
//
// On the socket, integers little endian:
//   to the borrower    "TIDELSHR", uint32 version 1, uint32 bytes of JSON, JSON: the description, or { "error": … }
//   then, repeated     uint32 n with n file descriptors as ancillary data (SCM_RIGHTS), chunks in order of address
//   from the borrower  one byte after each of these: no more descriptors are under way than either process may have open
// docs/share-weights.md describes it for those who write the other side.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "memory/region.h"  // Region

namespace tideline {

class Sharing {
 public:
  // Listens at `path`, where only this user can connect. `description` is JSON. Errors: bad_argument (`field` path).
  Sharing(std::shared_ptr<Region> region, std::string path, std::string description);
  // As Close.
  ~Sharing();
  Sharing(const Sharing&) = delete;

  const std::string& path() const { return path_; }
  // How many have it mapped, as far as they say.
  size_t borrowers() const;
  // Ends all loans and removes the socket; closing twice is fine. What a borrower has mapped stays its own until it unmaps.
  void Close();

 private:
  struct Borrower {
    int socket;
    std::string name;
    bool has_loan = false;
  };

  void Serve();
  void Accept();
  // Everything up to the last descriptor's acknowledgement. Throws when the borrower goes away or takes too long.
  void Lend(Borrower& borrower);
  void Drop(std::list<Borrower>::iterator borrower);

  const std::shared_ptr<Region> region_;
  const std::string path_;
  const std::string description_;
  int listener_ = -1;
  mutable std::mutex mutex_;  // guards what follows; sockets in the list are open
  std::list<Borrower> borrowers_;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace tideline
