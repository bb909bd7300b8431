#include "cublaslt.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace headzip::cublaslt {
namespace {

// site-packages of a virtual environment, of the user, and of the system
std::vector<std::string> python_folders() {
  std::vector<std::string> found;
  std::vector<std::filesystem::path> roots;
  for (const char* name : {"VIRTUAL_ENV", "CONDA_PREFIX"})
    if (const char* at = std::getenv(name)) roots.emplace_back(at);
  if (const char* home = std::getenv("HOME")) roots.push_back(std::filesystem::path(home) / ".local");
  roots.emplace_back("/usr/local");
  roots.emplace_back("/usr");
  std::error_code error;
  for (const auto& root : roots)
    for (const auto& python : std::filesystem::directory_iterator(root / "lib", error)) {
      if (python.path().filename().string().rfind("python3", 0) != 0) continue;
      for (const char* packages : {"site-packages", "dist-packages"})
        for (const char* inner : {"nvidia/cu13/lib", "nvidia/cublas/lib"})
          found.push_back((python.path() / packages / inner).string() + "/");
    }
  return found;
}

Api load() {
  Api api;
  std::vector<std::string> names;
  if (const char* only = std::getenv("HEADZIP_CUBLASLT")) {
    names.emplace_back(only);
  } else {
    std::vector<std::string> folders{""};
    if (const char* root = std::getenv("CUDA_PATH")) folders.push_back(std::string(root) + "/lib64/");
    folders.emplace_back("/usr/local/cuda/lib64/");
    for (std::string& folder : python_folders()) folders.push_back(std::move(folder));
    for (const char* name : {"libcublasLt.so.13", "libcublasLt.so.12"})
      for (const std::string& folder : folders) names.push_back(folder + name);
  }
  void* library = nullptr;
  for (const std::string& name : names) {
    library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) continue;
    api.path = name;
    break;
  }
  if (library == nullptr) {
    api.reason =
        "cuBLASLt was not found (libcublasLt.so.13 or .12): install the CUDA toolkit or pip's nvidia-cublas, or name the file in HEADZIP_CUBLASLT";
    return api;
  }
#define X(name, result, parameters)                                         \
  api.name = reinterpret_cast<result(*) parameters>(dlsym(library, #name)); \
  if (api.name == nullptr && api.reason.empty()) api.reason = api.path + " lacks " #name;
  HEADZIP_CUBLASLT(X)
#undef X
  api.loaded = api.reason.empty();
  return api;  // the library stays open for the life of the process
}

}  // namespace

const Api& api() {
  static const Api loaded = load();
  return loaded;
}

}  // namespace headzip::cublaslt
