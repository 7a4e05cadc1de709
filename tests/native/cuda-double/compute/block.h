// A block of GPU threads on one processor: each is a fiber that runs until it waits for the others, at a barrier or in a
// shuffle of its warp. What a GPU leaves undefined is found and said instead: a barrier that not all threads reach or that
// is not the same one, a shuffle without all lanes, kernels that are launched with other sizes than they were made for.
// Shared memory is of exactly the size that is used, each variable by itself and full of NaN, so that AddressSanitizer sees
// what lies beyond it. Fibers run first to last, or last to first where the environment has TIDELINE_DOUBLE_ORDER=reverse:
// results that differ are missing a barrier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace cuda_double {

struct Index {
  unsigned x, y, z;
};

using KernelFunction = void (*)(const void* args);

struct Kernel {
  const char* name;
  size_t args_bytes;
  unsigned threads;
  KernelFunction function;
};

struct Registration {
  Registration(const char* name, size_t args_bytes, unsigned threads, KernelFunction function);
};
// nullptr: there is none of this name.
const Kernel* FindKernel(const std::string& name);

// Runs every block of a grid. Empty, or what is wrong with the kernel.
std::string RunGrid(const Kernel& kernel, const void* args, Index grid, unsigned shared_bytes);

class Block {
 public:
  static Block& Current() { return *current_; }

  const Index& thread_index() const { return thread_index_; }
  const Index& block_index() const { return block_index_; }
  const Index& grid() const { return grid_; }

  template <typename T>
  T& Shared(const char* file, int line) {
    return *static_cast<T*>(SharedVariable(file, line, sizeof(T)));
  }
  float* DynamicShared() { return static_cast<float*>(dynamic_.get()); }

  void Barrier(const char* file, int line);

  template <typename T>
  T ShuffleXor(unsigned mask, T value, unsigned lanes, const char* file, int line) {
    static_assert(sizeof(T) <= sizeof(uint64_t));
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = Exchange(mask, bits, lanes, file, line);
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

  // What every lane of the warp holds of a product's two matrices (tensor_cores.h).
  struct Fragments {
    float a[4], b[2];
  };
  const Fragments* Collect(const Fragments& own, const char* file, int line);

 private:
  friend std::string RunGrid(const Kernel&, const void*, Index, unsigned);
  struct Freed {
    void operator()(void* memory) const;
  };
  using Memory = std::unique_ptr<void, Freed>;

  // A place in the source where threads wait for one another.
  struct Site {
    const char* file = nullptr;
    int line = 0;
    bool operator==(const Site&) const = default;
  };
  // Threads that have to arrive together: all of a block, or a warp.
  struct Gathering {
    unsigned members = 0, arrived = 0;
    uint64_t round = 0;
    Site site;
  };
  struct Warp {
    Gathering gathering;
    // Of even and odd rounds: a lane is at most one ahead.
    uint64_t values[2][32];
    Fragments fragments[2][32];
  };
  struct Fiber {
    void* stack_pointer = nullptr;
    void* stack = nullptr;
    bool finished = false;
    const Gathering* waits_for = nullptr;
    uint64_t round = 0;  // that it waits to be over
  };

  Block(const Kernel& kernel, const void* args, Index grid, unsigned shared_bytes);
  void Run(Index block);
  void Resume(unsigned thread);
  bool Runnable(const Fiber& fiber) const;
  void RunWarp(unsigned warp);
  static void Entry();
  void Yield();
  // Waits until all members are there; gives the round's number.
  uint64_t Gather(Gathering& gathering, Site site);
  uint64_t Exchange(unsigned mask, uint64_t value, unsigned lanes, const char* file, int line);
  void* SharedVariable(const char* file, int line, size_t bytes);
  void Complain(const std::string& problem);
  std::string Deadlock() const;

  static Block* current_;
  const Kernel& kernel_;
  const void* const args_;
  const Index grid_;
  const unsigned shared_bytes_;
  const bool reverse_;
  Index block_index_{}, thread_index_{};
  unsigned running_ = 0;
  void* scheduler_ = nullptr;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  Gathering all_;
  Memory dynamic_;
  std::vector<std::pair<Site, Memory>> shared_;
  std::string problem_;
};

}  // namespace cuda_double
