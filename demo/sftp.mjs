import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import ssh2 from 'ssh2';

const { OPEN_MODE, STATUS_CODE } = ssh2.utils.sftp;

/** The part of SFTP that an upload uses (OPEN, FSTAT, WRITE, CLOSE), over the real file system. */
export function serveSftp(sftp) {
  const files = new Map();
  let opened = 0;
  const file = (handle) => files.get(handle.toString());
  const answer = (id, work, tell = () => sftp.status(id, STATUS_CODE.OK)) =>
    work.then(tell, (error) => sftp.status(id, statusOf(error), error.message));

  sftp.on('OPEN', (id, path, flags, { mode = 0o666 }) =>
    answer(id, open(path, openFlags(flags), mode), (handle) => {
      const name = String(opened++);
      files.set(name, handle);
      sftp.handle(id, Buffer.from(name));
    }),
  );
  sftp.on('FSTAT', (id, handle) =>
    answer(id, file(handle).stat(), ({ mode, uid, gid, size, atimeMs, mtimeMs }) =>
      sftp.attrs(id, { mode, uid, gid, size, atime: atimeMs / 1000, mtime: mtimeMs / 1000 }),
    ),
  );
  sftp.on('WRITE', (id, handle, offset, data) => answer(id, file(handle).write(data, 0, data.length, offset)));
  sftp.on('CLOSE', (id, handle) => {
    const closing = file(handle);
    files.delete(handle.toString());
    void answer(id, closing.close());
  });
  // A link that broke leaves its files open.
  sftp.on('close', () => {
    for (const left of files.values()) void left.close();
    files.clear();
  });
}

function openFlags(flags) {
  const both = flags & OPEN_MODE.READ && flags & OPEN_MODE.WRITE;
  const access = both ? constants.O_RDWR : flags & OPEN_MODE.WRITE ? constants.O_WRONLY : constants.O_RDONLY;
  return (
    access |
    (flags & OPEN_MODE.CREAT ? constants.O_CREAT : 0) |
    (flags & OPEN_MODE.TRUNC ? constants.O_TRUNC : 0) |
    (flags & OPEN_MODE.EXCL ? constants.O_EXCL : 0)
  );
}

/** As OpenSSH's sftp-server answers (errno_to_portable). */
function statusOf({ code }) {
  if (code === 'ENOENT') return STATUS_CODE.NO_SUCH_FILE;
  return code === 'EACCES' || code === 'EPERM' ? STATUS_CODE.PERMISSION_DENIED : STATUS_CODE.FAILURE;
}
