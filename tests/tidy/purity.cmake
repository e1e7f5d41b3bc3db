# Fails when a library has an undefined symbol that it must not have.
#
#   cmake -DNM=nm -DLIB=libx.a -DWHAT=outside|libcrypto -P purity.cmake
#
# outside: sockets, files, clocks, sleeping, threads, locks, entropy, the console.
execute_process(COMMAND ${NM} -u ${LIB} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
if(WHAT STREQUAL "outside")
  set(banned
    socket socketpair connect bind listen accept accept4 poll ppoll epoll_create1 epoll_ctl epoll_wait select
    recv recvfrom recvmsg send sendto sendmsg read readv write writev pipe pipe2 eventfd
    open open64 openat openat64 close fopen fopen64 stat unlink rename fork execve execv posix_spawn system
    clock_gettime gettimeofday time nanosleep usleep sleep timerfd_create
    getrandom getentropy arc4random rand random srand
    getenv secure_getenv getaddrinfo isatty
    "pthread_(create|mutex|cond|rwlock|join).*"
    "_ZNSt6chrono3_V212(steady|system)_clock3nowEv"
    "_ZNSt13random_device.*"
    "_ZNSt6thread.*" "_ZNSt18condition_variable.*" "_ZNSt15this_thread.*"
    "_ZSt4(cout|cerr|clog)" stdout stderr printf fprintf puts
    "_ZN?K?St13basic_filebuf.*" "_ZN?K?St10filesystem.*" "_ZNSt10filesystem.*")
elseif(WHAT STREQUAL "libcrypto")
  set(banned "(EVP|BN|EC|ECDSA|ECDH|DH|RSA|RAND|OSSL|ERR|CRYPTO|OPENSSL|BIO|PEM|HMAC|SHA[0-9]*|d2i|i2d)_[A-Za-z0-9_]+" "(imb_[a-z_]+|[a-z]+_mb_mgr[a-z0-9_]*)")
else()
  message(FATAL_ERROR "WHAT must be outside or libcrypto")
endif()

set(found "")
foreach(symbol IN LISTS banned)
  if(symbols MATCHES "[ \t]U (${symbol})[@\n]")
    list(APPEND found "${CMAKE_MATCH_1}")
  endif()
endforeach()
if(found)
  list(JOIN found " " found)
  message(FATAL_ERROR "PURITY: ${LIB} references ${found}")
endif()
