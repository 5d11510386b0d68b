/* The CUDA driver, as torch's start asks for it: every function says success (0) and does nothing. */
#define YES(name) int name(void) { return 0; }
int cuCtxGetCurrent(void **context) { *context = (void *)1; return 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { *flags = 0; *active = 1; return 0; }
YES(cuInit) YES(cuCtxSetCurrent) YES(cuDeviceGet) YES(cuDeviceGetAttribute) YES(cuDevicePrimaryCtxRetain)
YES(cuFuncGetAttribute) YES(cuFuncSetAttribute) YES(cuFuncSetCacheConfig) YES(cuGetErrorString)
YES(cuLaunchCooperativeKernel) YES(cuLaunchKernel) YES(cuLinkAddData_v2) YES(cuLinkComplete) YES(cuLinkCreate_v2)
YES(cuModuleGetFunction) YES(cuModuleLoad) YES(cuModuleLoadData) YES(cuModuleLoadDataEx) YES(cuModuleUnload)
YES(cuOccupancyMaxActiveBlocksPerMultiprocessor) YES(cuPointerGetAttribute) YES(cuTensorMapEncodeTiled)
