// Asks an HTTP service on 127.0.0.1 again and again, a millisecond after each answer, until stdin ends; then prints
// {asked, usualMs, gapMs}. A gap is the time from the last good answer before some failed or late one to the next good one.
// Plain JavaScript, so that it starts at once; it runs inside the target's network.
import { connect } from 'node:net';

const port = Number(process.argv[2]);
const gaps = [];
let going = true;
process.stdin.on('end', () => {
  going = false;
});
process.stdin.resume();

let last;
while (going) {
  if (await answers()) {
    const now = performance.now();
    if (last === undefined) console.log('first answer');
    else gaps.push(now - last);
    last = now;
  }
  await new Promise((resolve) => setTimeout(resolve, 1));
}
gaps.sort((a, b) => a - b);
console.log(JSON.stringify({ asked: gaps.length, usualMs: gaps[Math.floor(gaps.length / 2)], gapMs: gaps.at(-1) }));

function answers() {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(text.startsWith('HTTP/1.1 200')));
  });
}
