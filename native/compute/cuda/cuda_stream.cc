#include "compute/cuda/cuda_stream.h"

#include "compute/cuda/kernel_image.h"  // KernelImages
#include "memory/error.h"               // Error

namespace tideline {
namespace {

// More shared memory than this has to be asked for.
constexpr unsigned kUsualSharedBytes = 48 << 10;

// Blocks of a kernel that wait for the one before: since CUDA 12.3 in graphs too, and in this build's machine code for
// Hopper, not in its PTX, which is for any GPU.
constexpr int kFirstDriver = 12030, kCapabilityMajor = 75, kHopper = 9;

cuda::Address AddressOf(const void* pointer) { return reinterpret_cast<uintptr_t>(pointer); }

}  // namespace

class CudaStream::Current {
 public:
  explicit Current(const CudaStream& stream) : driver_(stream.driver_) {
    stream.Check(driver_.ContextPush(stream.context_), "cuCtxPushCurrent");
  }
  ~Current() {
    cuda::Context popped;
    driver_.ContextPop(&popped);
  }
  Current(const Current&) = delete;

 private:
  const LaunchDriver& driver_;
};

CudaStream::CudaStream(int ordinal) : driver_(LaunchDriver::Load()), device_(ordinal) {
  const std::vector<std::vector<char>> images = KernelImages();
  Check(driver_.DeviceGet(&device_, ordinal), "cuDeviceGet");
  Check(driver_.PrimaryContextRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
  try {
    const Current current(*this);
    for (const std::vector<char>& image : images) {
      cuda::Module module;
      Check(driver_.ModuleLoadData(&module, image.data()), "cuModuleLoadData");
      modules_.push_back(module);
    }
    Check(driver_.StreamCreate(&stream_, cuda::kStreamNonBlocking), "cuStreamCreate");
    int driver_version = 0, major = 0;
    Check(driver_.DriverGetVersion(&driver_version), "cuDriverGetVersion");
    Check(driver_.DeviceGetAttribute(&major, kCapabilityMajor, device_), "cuDeviceGetAttribute");
    overlaps_ = driver_version >= kFirstDriver && major == kHopper;
  } catch (...) {
    CloseAll();
    throw;
  }
}

CudaStream::~CudaStream() { CloseAll(); }

// What fails here is a lost device, which the calls before have said.
void CudaStream::CloseAll() noexcept {
  cuda::Context popped;
  if (driver_.ContextPush(context_) == cuda::kSuccess) {
    if (stream_) {
      driver_.StreamSynchronize(stream_);
      driver_.StreamDestroy(stream_);
    }
    for (const cuda::Module module : modules_) driver_.ModuleUnload(module);
    driver_.ContextPop(&popped);
  }
  driver_.PrimaryContextRelease(device_);
}

void CudaStream::Check(cuda::Result result, const char* what) const {
  if (result == cuda::kSuccess) return;
  const std::string said = std::string(what) + ": " + driver_.Describe(result);
  if (cuda::IsLost(result)) throw cuda::LostError(device_, said);
  switch (result) {
    case cuda::kOutOfMemory:
      throw Error("out_of_memory", said, "leave the GPU more memory outside the budget");
    case cuda::kInvalidImage:
    case cuda::kNoBinaryForGpu:
    case cuda::kInvalidPtx:
    case cuda::kUnsupportedPtxVersion:
    case cuda::kJitCompilerNotFound:
      throw Error("unsupported", "this build's kernels do not run on this GPU: " + said,
                  "a GPU of compute capability 8.0 or newer is needed, and a driver no older than the toolkit of the build");
    default:
      throw Error("internal", said);
  }
}

CudaStream::Kernel& CudaStream::Find(std::string_view name) {
  const auto found = kernels_.find(name);
  if (found != kernels_.end()) return found->second;
  const std::string owned(name);
  cuda::Function function = nullptr;
  cuda::Result result = cuda::kNotFound;
  for (size_t i = 0; i < modules_.size() && result == cuda::kNotFound; ++i) {
    result = driver_.ModuleGetFunction(&function, modules_[i], owned.c_str());
  }
  Check(result, ("cuModuleGetFunction " + owned).c_str());
  return kernels_.emplace(owned, Kernel{function, kUsualSharedBytes}).first->second;
}

void CudaStream::LaunchRaw(std::string_view name, Grid grid, unsigned threads, const void* arguments, unsigned shared_bytes) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  const Current current(*this);
  Kernel& kernel = Find(name);
  if (shared_bytes > kernel.shared_bytes) {
    Check(driver_.FunctionSetAttribute(kernel.function, cuda::kMaxDynamicSharedBytes, static_cast<int>(shared_bytes)),
          "cuFuncSetAttribute");
    kernel.shared_bytes = shared_bytes;
  }
  void* parameters[] = {const_cast<void*>(arguments)};
  if (capturing_) {
    cuda::LaunchAttribute overlaps{.id = cuda::kProgrammaticStreamSerialization, .padding = {}, .value = 1};
    const cuda::LaunchConfig config{static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
                                    static_cast<unsigned>(grid.z), threads, 1, 1, shared_bytes, stream_,
                                    &overlaps, overlaps_ ? 1u : 0u};
    return Check(driver_.LaunchKernelEx(&config, kernel.function, parameters, nullptr), "cuLaunchKernelEx");
  }
  Check(driver_.LaunchKernel(kernel.function, static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y),
                             static_cast<unsigned>(grid.z), threads, 1, 1, shared_bytes, stream_, parameters, nullptr),
        "cuLaunchKernel");
}

void CudaStream::Upload(void* target, const void* source, uint64_t bytes) {
  if (bytes == 0) return;
  if (capturing_) throw Error("internal", "a recorded pass moves bytes to or from the host");
  const Current current(*this);
  // From memory that is not pinned: the driver has taken it when the call returns.
  Check(driver_.MemcpyHtoDAsync(AddressOf(target), source, bytes, stream_), "cuMemcpyHtoDAsync");
}

void CudaStream::Download(void* target, const void* source, uint64_t bytes) {
  if (bytes == 0) return;
  if (capturing_) throw Error("internal", "a recorded pass moves bytes to or from the host");
  const Current current(*this);
  Check(driver_.MemcpyDtoHAsync(target, AddressOf(source), bytes, stream_), "cuMemcpyDtoHAsync");
  Check(driver_.StreamSynchronize(stream_), "cuStreamSynchronize");
}

void CudaStream::Copy(void* target, const void* source, uint64_t bytes) {
  if (bytes == 0) return;
  const Current current(*this);
  Check(driver_.MemcpyDtoDAsync(AddressOf(target), AddressOf(source), bytes, stream_), "cuMemcpyDtoDAsync");
}

void CudaStream::Zero(void* target, uint64_t bytes) {
  if (bytes == 0) return;
  const Current current(*this);
  Check(driver_.MemsetD8Async(AddressOf(target), 0, bytes, stream_), "cuMemsetD8Async");
}

void CudaStream::Synchronize() {
  const Current current(*this);
  Check(driver_.StreamSynchronize(stream_), "cuStreamSynchronize");
}

std::unique_ptr<CudaGraph> CudaStream::Capture(const std::function<void()>& work) {
  const Current current(*this);
  Check(driver_.StreamBeginCapture(stream_, cuda::kCaptureRelaxed), "cuStreamBeginCapture");
  cuda::Graph graph = nullptr;
  capturing_ = true;
  try {
    work();
  } catch (...) {
    capturing_ = false;
    if (driver_.StreamEndCapture(stream_, &graph) == cuda::kSuccess && graph) driver_.GraphDestroy(graph);
    throw;
  }
  capturing_ = false;
  Check(driver_.StreamEndCapture(stream_, &graph), "cuStreamEndCapture");
  cuda::GraphExec executable = nullptr;
  const cuda::Result made = driver_.GraphInstantiate(&executable, graph, 0);
  driver_.GraphDestroy(graph);
  Check(made, "cuGraphInstantiate");
  return std::unique_ptr<CudaGraph>(new CudaGraph(*this, executable));
}

void CudaStream::Launch(const CudaGraph& graph) {
  const Current current(*this);
  Check(driver_.GraphLaunch(graph.executable_, stream_), "cuGraphLaunch");
}

// What fails here is a lost device, which the calls before have said.
CudaGraph::~CudaGraph() {
  cuda::Context popped;
  if (stream_.driver_.ContextPush(stream_.context_) != cuda::kSuccess) return;
  stream_.driver_.StreamSynchronize(stream_.stream_);  // it may be under way
  stream_.driver_.GraphExecDestroy(executable_);
  stream_.driver_.ContextPop(&popped);
}

void CudaStream::Run(const std::function<void(cuda::Stream)>& work) const {
  const Current current(*this);
  work(stream_);
}

}  // namespace tideline
