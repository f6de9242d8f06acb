// Runs a worker as Node does, with sockets as its stdin and stdout, and talks cbor-rpc in lines of JSON to it.
//
// usage: node stdio_parent.js WORKER

'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const readline = require('node:readline');

const worker = spawn(process.argv[2], ['json'], { stdio: ['pipe', 'pipe', 'pipe'] });
let stderr = '';
worker.stderr.on('data', (data) => { stderr += data; });

const waiting = new Map();
let next = 1;
readline.createInterface({ input: worker.stdout }).on('line', (line) => {
  const [protocol, kind, id, ok, value] = JSON.parse(line);
  assert.deepStrictEqual([protocol, kind], [1, 2]);
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  if (ok) resolve(value); else reject(new Error(value));
});

function call(method, ...args) {
  const id = next++;
  worker.stdin.write(JSON.stringify([1, 0, id, method, args]) + '\n');
  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

async function main() {
  assert.deepStrictEqual(await call('kinds'), ['socket', 'socket']);
  const texts = Array.from({ length: 200 }, (_, index) => `${index} `.repeat(500));
  assert.deepStrictEqual(await Promise.all(texts.map((text) => call('say', text))), texts);
  assert.strictEqual(await call('print', 'printed'), null);
  const ended = new Promise((resolve) => worker.on('close', (...how) => resolve(how)));
  worker.stdin.end();
  assert.deepStrictEqual(await ended, [0, null]);
  assert.ok(stderr.startsWith('READY\nprinted\n'), stderr);
  console.log('done');
}

main().catch((error) => {
  console.error(error, stderr);
  worker.kill('SIGKILL');
  process.exit(1);
});
