/* A stand-in for botserver and botui: a small HTTP server that is well, or ill in one chosen way.
 * NAME, VERSION and BEHAVIOUR come from the compiler's command line. It calls only what glibc 2.34 already had under the
 * same symbol version (no strtol, no sscanf), so that it also runs on targets older than the machine that compiles it. */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { healthy, crash, crash_late, unhealthy, never_listens, slow_start, ignores_sigterm, bad_version };
enum { slots = 64 };

static long long now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static int number(const char *digits) {
  int value = 0;
  while (*digits >= '0' && *digits <= '9' && value < 65536) value = value * 10 + (*digits++ - '0');
  return value;
}

static int listen_on(int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int on = 1, s = socket(AF_INET, SOCK_STREAM, 0);
  setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(s, (struct sockaddr *)&address, sizeof address) || listen(s, 64)) {
    perror(NAME ": listen");
    exit(1);
  }
  printf(NAME " " VERSION " listens on 127.0.0.1:%d\n", port);
  return s;
}

static void answer(int client) {
  static const char body[] = "{\"name\":\"" NAME "\",\"version\":\"" VERSION "\"}\n";
  char text[1024];
  int size = snprintf(text, sizeof text,
                      "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
                      BEHAVIOUR == unhealthy ? "503 Service Unavailable" : "200 OK", sizeof body - 1, body);
  if (write(client, text, size) < 0) perror(NAME ": write");
}

int main(int argc, char **argv) {
  const char *port = getenv("PORT");
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--version")) {
      if (BEHAVIOUR == bad_version) return 3;
      puts(NAME " " VERSION);
      return 0;
    }
    if (!strcmp(argv[i], "--port") && i + 1 < argc) port = argv[++i];
  }
  setvbuf(stdout, NULL, _IOLBF, 0); /* a journal wants lines, not blocks */
  signal(SIGPIPE, SIG_IGN);
  if (BEHAVIOUR == ignores_sigterm) signal(SIGTERM, SIG_IGN);
  puts(NAME " " VERSION " starts");

  if (BEHAVIOUR == crash) {
    usleep(50 * 1000);
    fputs(NAME ": cannot reach its database\n", stderr);
    return 1;
  }
  if (!port || !number(port)) {
    fputs(NAME ": no port: set PORT or give --port\n", stderr);
    return 2;
  }
  if (BEHAVIOUR == never_listens) for (;;) pause();
  if (BEHAVIOUR == slow_start) sleep(2);

  struct pollfd sockets[slots];
  int used = 1;
  sockets[0] = (struct pollfd){.fd = listen_on(number(port)), .events = POLLIN};
  long long end = now_ms() + 1500;
  for (;;) {
    int wait = -1;
    if (BEHAVIOUR == crash_late) {
      long long left = end - now_ms();
      if (left <= 0) {
        fputs(NAME ": lost its database\n", stderr);
        return 1;
      }
      wait = (int)left;
    }
    if (poll(sockets, used, wait) <= 0) continue;
    for (int i = used - 1; i > 0; i--) {
      char request[4096];
      if (!sockets[i].revents) continue;
      /* The head of a health check comes in one piece; its first bytes are enough to answer. */
      if (read(sockets[i].fd, request, sizeof request) > 0) answer(sockets[i].fd);
      close(sockets[i].fd);
      sockets[i] = sockets[--used];
    }
    if (sockets[0].revents && used < slots) {
      int client = accept(sockets[0].fd, NULL, NULL);
      if (client >= 0) sockets[used++] = (struct pollfd){.fd = client, .events = POLLIN};
    }
  }
}
