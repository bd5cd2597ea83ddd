import { ExpectedError } from '../errors.js';

/** The link ended while it was in use: reset, keepalive not answered, server gone. */
export class ConnectionLost extends ExpectedError {
  override readonly name = 'ConnectionLost';
}

/** The other side's host key is unknown, changed, revoked, or vouched for by a certificate authority only. */
export class HostKeyRefused extends ExpectedError {
  override readonly name = 'HostKeyRefused';
}

/** No SSH conversation came about: name, route, port or time. The only kind that is worth another try. */
export class Unreachable extends ExpectedError {
  override readonly name = 'Unreachable';
}

/** The server did not open a TCP connection for us. */
export class ForwardRefused extends ExpectedError {
  override readonly name = 'ForwardRefused';

  constructor(
    /** RFC 4254 section 5.1: 1 administratively prohibited, 2 connect failed, 3 unknown type, 4 resource shortage. */
    readonly reason: number,
    ...sentences: ConstructorParameters<typeof ExpectedError>
  ) {
    super(...sentences);
  }
}
