// The service that the demo deploys. Travels inside the binary; `release` is put before it (see artifact.mjs).
const { createServer } = require('node:http');
const { version, crashAfterMs } = globalThis.release;

createServer((_, response) => {
  response.setHeader('connection', 'close');
  response.end(`${JSON.stringify({ service: 'acme-shop', version })}\n`);
}).listen(Number(process.env.PORT), '127.0.0.1', () => console.log(`acme-shop ${version} is ready`));

if (crashAfterMs) {
  setTimeout(() => {
    console.error('acme-shop: fatal: table orders has no column currency');
    process.exit(70);
  }, crashAfterMs);
}
