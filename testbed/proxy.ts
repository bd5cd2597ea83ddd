import { createServer, type Server, Socket } from 'node:net';

// Own code instead of a ready proxy: what is tested needs one that holds, cuts and delays on command, in this process.

export interface ProxyOptions {
  to: { host: string; port: number };
  /** Added to the round trip, half of it each way; the bandwidth stays. Default 0. */
  delayMs?: number;
  /** Of each direction of each connection, like a slow line with a long queue before it. Default: no limit. */
  bytesPerSecond?: number;
}

export interface ProxyCounters {
  /** Connections accepted since the start, and open ones now. */
  connections: number;
  open: number;
  /** Bytes handed on: up to the target, down from it. */
  up: number;
  down: number;
}

export interface Proxy {
  host: '127.0.0.1';
  port: number;
  readonly counters: Readonly<ProxyCounters>;
  /** Resets every connection on both sides and refuses new ones. */
  cut(): Promise<void>;
  /** Keeps every connection open and hands nothing on, not even an end; new ones connect and hear nothing. */
  blackhole(): void;
  /** Undoes `cut` and `blackhole`; what a black hole held back goes on, as it does after a network's packet loss. */
  restore(): Promise<void>;
  stop(): Promise<void>;
}

/** Bytes one direction may hold. Over 100 ms each way this still allows 640 MiB/s. */
const maxHeld = 64 * 1024 * 1024;

/** A TCP proxy on 127.0.0.1, on a port the kernel gives to no one by itself, so that it can come back after `cut`. */
export async function startProxy({ to, delayMs = 0, bytesPerSecond }: ProxyOptions): Promise<Proxy> {
  const counters: ProxyCounters = { connections: 0, open: 0, up: 0, down: 0 };
  const links = new Set<Link>();
  let held = false;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    counters.connections++;
    counters.open++;
    const link = new Link(client, to, { delayMs: delayMs / 2, bytesPerSecond }, held, counters);
    links.add(link);
    link.onEnd = () => {
      counters.open--;
      links.delete(link);
    };
  });
  const port = await listenOutsideEphemeral(server);
  const hold = (value: boolean) => {
    held = value;
    for (const link of links) link.hold(value);
  };
  const close = async () => {
    for (const link of [...links]) link.reset();
    if (server.listening) await new Promise((resolve) => server.close(resolve));
  };

  return {
    host: '127.0.0.1',
    port,
    counters,
    cut: close,
    blackhole: () => hold(true),
    restore: async () => {
      hold(false);
      if (!server.listening) await listen(server, port);
    },
    stop: close,
  };
}

/** One connection: two sockets, and a lane for each direction. */
class Link {
  onEnd = () => {};
  readonly #target: Socket;
  readonly #lanes: Lane[];
  #reset = false;

  constructor(
    readonly client: Socket,
    readonly to: { host: string; port: number },
    line: Line,
    held: boolean,
    counters: ProxyCounters,
  ) {
    this.#target = new Socket({ allowHalfOpen: true }).setNoDelay(true);
    this.#lanes = [
      new Lane(client, this.#target, line, held, (bytes) => {
        counters.up += bytes;
      }),
      new Lane(this.#target, client, line, held, (bytes) => {
        counters.down += bytes;
      }),
    ];
    let open = 2;
    for (const socket of [client, this.#target]) {
      socket.once('close', () => {
        if (--open === 0) this.onEnd();
      });
    }
    if (!held) this.#target.connect(to);
  }

  hold(value: boolean): void {
    if (!value && this.#target.pending && !this.#target.connecting && !this.#target.destroyed)
      this.#target.connect(this.to);
    for (const lane of this.#lanes) lane.hold(value);
  }

  reset(): void {
    if (this.#reset) return;
    this.#reset = true;
    for (const lane of this.#lanes) lane.drop();
    this.client.resetAndDestroy();
    if (this.#target.pending) this.#target.destroy();
    else this.#target.resetAndDestroy();
  }
}

/** What one direction does to bytes. */
interface Line {
  delayMs: number;
  bytesPerSecond?: number;
}

type Parcel = { due: number; bytes: Buffer } | { due: number; end: 'fin' | 'reset' };

/** One direction: what comes in leaves in order, by the rate and the delay of the line. */
class Lane {
  #queue: Parcel[] = [];
  #size = 0;
  /** When the line has sent all that came before. */
  #free = 0;
  #timer: NodeJS.Timeout | undefined;
  #held: boolean;

  constructor(
    readonly from: Socket,
    readonly into: Socket,
    readonly line: Line,
    held: boolean,
    readonly count: (bytes: number) => void,
  ) {
    this.#held = held;
    from.on('data', (bytes: Buffer) => {
      this.#size += bytes.length;
      const { bytesPerSecond = Number.POSITIVE_INFINITY } = line;
      this.#free = Math.max(this.#free, performance.now()) + (bytes.length / bytesPerSecond) * 1000;
      this.#add({ due: this.#free + line.delayMs, bytes });
      if (this.#size + into.writableLength > maxHeld) from.pause();
    });
    into.on('drain', () => this.#resume());
    from.once('end', () => this.#add({ due: performance.now() + line.delayMs, end: 'fin' }));
    from.on('error', () => this.#add({ due: performance.now() + line.delayMs, end: 'reset' }));
  }

  hold(value: boolean): void {
    this.#held = value;
    this.#flush();
  }

  drop(): void {
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#held = true;
  }

  #add(parcel: Parcel): void {
    this.#queue.push(parcel);
    if (!this.#timer) this.#flush();
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (!this.#held) {
      const parcel = this.#queue[0];
      if (!parcel) break;
      const early = parcel.due - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => this.#flush(), Math.ceil(early));
        break;
      }
      this.#queue.shift();
      if ('bytes' in parcel) {
        this.#size -= parcel.bytes.length;
        if (this.into.writable) {
          this.count(parcel.bytes.length);
          this.into.write(parcel.bytes);
        }
      } else if (parcel.end === 'fin') this.into.end();
      else if (!this.into.destroyed) this.into.pending ? this.into.destroy() : this.into.resetAndDestroy();
    }
    this.#resume();
  }

  #resume(): void {
    if (this.from.isPaused() && this.#size + this.into.writableLength < maxHeld / 2) this.from.resume();
  }
}

/**
 * Ports from 20000 to 31999 lie below Linux' default range for outgoing connections (32768 up, ip_local_port_range in
 * ip(7)), so nobody is given ours while `cut` has it closed.
 */
async function listenOutsideEphemeral(server: Server): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    try {
      await listen(server, port);
      return port;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === 20) throw error;
    }
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
