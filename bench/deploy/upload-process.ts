// A process that connects and uploads with the action's own code, and prints how long each took: {connect, upload} in ms.
// One argument: JSON of {endpoint, from, to, channels}; the private key comes in KEY.
import { statSync } from 'node:fs';
import { upload } from '../../action-deploy/src/upload.js';
import { connect } from '../../packages/shared/src/ssh/connection.js';

const { endpoint, from, to, channels } = JSON.parse(process.argv[2] ?? '');
void measure();

async function measure(): Promise<void> {
  const began = performance.now();
  const connection = await connect({ ...endpoint, privateKey: process.env.KEY, insecureHostKey: false });
  const connected = performance.now();
  await upload(connection, { from, to, size: statSync(from).size, channels });
  console.log(JSON.stringify({ connect: connected - began, upload: performance.now() - connected }));
  connection.close();
}
