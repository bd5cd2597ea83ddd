/** The longest write OpenSSH takes in one piece (its limits@openssh.com says 261120); ssh2 splits it for others. */
export const CHUNK = 255 * 1024;

/**
 * No write is sent that begins this far behind the first byte not yet acknowledged. So in a part file only the last
 * WINDOW bytes can have holes, whenever it was cut off, and its size alone tells where to go on. Never make it smaller:
 * a part file of an earlier version may be waiting. 8 MiB keep 4 channels of 2 MiB (OpenSSH's window) full.
 */
export const WINDOW = 32 * CHUNK;
