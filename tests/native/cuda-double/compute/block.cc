#include "block.h"

#include <cstdlib>
#include <map>

namespace cuda_double {

namespace {

constexpr unsigned kLanes = 32;
// With AddressSanitizer frames are many times as large.
constexpr size_t kStackBytes = size_t{128} << 10;
// From stack to stack, where each begins: at one offset all would share a few lines of the processor's cache.
constexpr size_t kStackStagger = 5 * 64, kMostStagger = size_t{16} << 10;

std::map<std::string, Kernel>& Kernels() {
  static std::map<std::string, Kernel> kernels;
  return kernels;
}

}  // namespace

// Saves the registers that a call keeps on this stack, and goes on where another stack was left (x86-64 System V).
extern "C" void cuda_double_switch(void** from, void* to);
__asm__(
    ".text\n"
    ".globl cuda_double_switch\n"
    ".hidden cuda_double_switch\n"
    "cuda_double_switch:\n"
    "  push %rbp\n  push %rbx\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, (%rdi)\n"
    "  mov %rsi, %rsp\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbx\n  pop %rbp\n  pop %rcx\n"
    "  jmp *%rcx\n");  // a return would be predicted to go where this stack was left

Registration::Registration(const char* name, size_t args_bytes, unsigned threads, KernelFunction function) {
  Kernels().emplace(name, Kernel{name, args_bytes, threads, function});
}

const Kernel* FindKernel(const std::string& name) {
  const auto found = Kernels().find(name);
  return found == Kernels().end() ? nullptr : &found->second;
}

std::string RunGrid(const Kernel& kernel, const void* args, Index grid, unsigned shared_bytes) {
  Block block(kernel, args, grid, shared_bytes);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x && block.problem_.empty(); ++x) block.Run({x, y, z});
    }
  }
  return block.problem_;
}

Block* Block::current_ = nullptr;

void Block::Freed::operator()(void* memory) const { std::free(memory); }

Block::Block(const Kernel& kernel, const void* args, Index grid, unsigned shared_bytes)
    : kernel_(kernel),
      args_(args),
      grid_(grid),
      shared_bytes_(shared_bytes),
      reverse_(std::getenv("TIDELINE_DOUBLE_ORDER") && std::string(std::getenv("TIDELINE_DOUBLE_ORDER")) == "reverse"),
      fibers_(kernel.threads),
      warps_(kernel.threads / kLanes) {
  // Kept for the next launch: fresh ones would cost more than most kernels.
  static std::vector<Memory> stacks;
  while (stacks.size() < fibers_.size()) stacks.emplace_back(std::malloc(kStackBytes));
  for (size_t thread = 0; thread < fibers_.size(); ++thread) fibers_[thread].stack = stacks[thread].get();
}

void Block::Run(Index block) {
  current_ = this;
  block_index_ = block;
  all_ = {.members = static_cast<unsigned>(fibers_.size()), .arrived = 0, .round = 0, .site = {}};
  for (Warp& warp : warps_) warp.gathering = {.members = kLanes, .arrived = 0, .round = 0, .site = {}};
  dynamic_.reset(std::aligned_alloc(16, (shared_bytes_ + 15) / 16 * 16));
  std::memset(dynamic_.get(), 0xff, shared_bytes_);
  shared_.clear();
  for (size_t thread = 0; thread < fibers_.size(); ++thread) {
    Fiber& fiber = fibers_[thread];
    const size_t stack_bytes = kStackBytes - thread * kStackStagger % kMostStagger;
    // As if cuda_double_switch had been called at Entry's first instruction; there the stack is 8 short of 16.
    void** top = reinterpret_cast<void**>(static_cast<std::byte*>(fiber.stack) + stack_bytes) - 1;
    *--top = reinterpret_cast<void*>(&Block::Entry);
    for (int i = 0; i < 6; ++i) *--top = nullptr;
    fiber.stack_pointer = top;
    fiber.finished = false;
    fiber.waits_for = nullptr;
  }
  while (problem_.empty()) {
    bool any = false, all_finished = true;
    for (unsigned i = 0; i < warps_.size(); ++i) {
      const unsigned warp = reverse_ ? static_cast<unsigned>(warps_.size()) - 1 - i : i;
      for (unsigned lane = 0; lane < kLanes; ++lane) any = any || Runnable(fibers_[warp * kLanes + lane]);
      RunWarp(warp);
    }
    for (const Fiber& fiber : fibers_) all_finished = all_finished && fiber.finished;
    if (all_finished) return;
    if (!any) Complain(Deadlock());
  }
}

bool Block::Runnable(const Fiber& fiber) const {
  return !fiber.finished && (!fiber.waits_for || fiber.waits_for->round > fiber.round);
}

// Until all of its lanes have finished or wait for the block.
void Block::RunWarp(unsigned warp) {
  for (bool any = true; any && problem_.empty();) {
    any = false;
    for (unsigned i = 0; i < kLanes && problem_.empty(); ++i) {
      const unsigned thread = warp * kLanes + (reverse_ ? kLanes - 1 - i : i);
      if (!Runnable(fibers_[thread])) continue;
      Resume(thread);
      any = true;
    }
  }
}

void Block::Resume(unsigned thread) {
  running_ = thread;
  thread_index_ = {thread, 0, 0};
  fibers_[thread].waits_for = nullptr;
  cuda_double_switch(&scheduler_, fibers_[thread].stack_pointer);
}

// Into their callers: each return on a stack that was switched to is predicted wrongly, and this is most of the time.
[[gnu::always_inline]] inline void Block::Yield() { cuda_double_switch(&fibers_[running_].stack_pointer, scheduler_); }

void Block::Entry() {
  Block& block = Current();
  block.kernel_.function(block.args_);
  block.fibers_[block.running_].finished = true;
  for (;;) block.Yield();  // once: nobody resumes what has finished
}

[[gnu::always_inline]] inline uint64_t Block::Gather(Gathering& gathering, Site site) {
  if (gathering.arrived == 0) gathering.site = site;
  if (!(gathering.site == site)) {
    Complain(std::string("threads wait for one another at ") + site.file + ":" + std::to_string(site.line) + " and at line " +
             std::to_string(gathering.site.line));
    Yield();
  }
  const uint64_t round = gathering.round;
  if (++gathering.arrived == gathering.members) {
    gathering.arrived = 0;
    ++gathering.round;
    return round;
  }
  fibers_[running_].waits_for = &gathering;
  fibers_[running_].round = round;
  Yield();
  return round;
}

void Block::Barrier(const char* file, int line) { Gather(all_, {file, line}); }

uint64_t Block::Exchange(unsigned mask, uint64_t value, unsigned lanes, const char* file, int line) {
  if (mask != 0xffffffffu || lanes >= kLanes) Complain("a shuffle that is not of a whole warp");
  const unsigned lane = running_ % kLanes;
  Warp& warp = warps_[running_ / kLanes];
  warp.values[warp.gathering.round % 2][lane] = value;
  return warp.values[Gather(warp.gathering, {file, line}) % 2][lane ^ lanes];
}

const Block::Fragments* Block::Collect(const Fragments& own, const char* file, int line) {
  Warp& warp = warps_[running_ / kLanes];
  warp.fragments[warp.gathering.round % 2][running_ % kLanes] = own;
  return warp.fragments[Gather(warp.gathering, {file, line}) % 2];
}

void* Block::SharedVariable(const char* file, int line, size_t bytes) {
  const Site site{file, line};
  for (const auto& [declared, memory] : shared_) {
    if (declared == site) return memory.get();
  }
  Memory& memory = shared_.emplace_back(site, Memory(std::malloc(bytes))).second;
  return std::memset(memory.get(), 0xff, bytes);
}

void Block::Complain(const std::string& problem) {
  if (!problem_.empty()) return;
  problem_ = std::string(kernel_.name) + ", block (" + std::to_string(block_index_.x) + ", " +
             std::to_string(block_index_.y) + ", " + std::to_string(block_index_.z) + "): " + problem;
}

std::string Block::Deadlock() const {
  unsigned finished = 0;
  for (const Fiber& fiber : fibers_) finished += fiber.finished;
  for (const Fiber& fiber : fibers_) {
    if (fiber.finished) continue;
    const Site& site = fiber.waits_for->site;
    return std::string("threads wait at ") + site.file + ":" + std::to_string(site.line) + " for others that never come: " +
           std::to_string(finished) + " of " + std::to_string(fibers_.size()) + " have finished";
  }
  return {};
}

}  // namespace cuda_double
