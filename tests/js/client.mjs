// Drives the released TypeScript client for tests/acceptance/test_sdk_typescript*.py.
//
// The first line of standard input holds the client's options; each further line is one call,
// {"op": …, "repo": …, "args": {…}}, and is answered by one line: {"value": …} or {"error": {…}}.
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';

import { GitStorage } from '@pierre/storage';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const storage = new GitStorage(JSON.parse((await lines.next()).value));

const describeRepo = (repo) =>
  repo && { id: repo.id, defaultBranch: repo.defaultBranch, createdAt: repo.createdAt };

// Methods whose answers are objects of the client's own are described; all others are called as they are.
const onStorage = {
  createRepo: async (args) => describeRepo(await storage.createRepo(args)),
  findOne: async (args) => describeRepo(await storage.findOne(args)),
};

async function commit(repo, { files = [], deletes = [], ...options }) {
  const builder = repo.createCommit(options);
  for (const path of deletes) builder.deletePath(path);
  for (const { path, base64, mode } of files) {
    builder.addFile(path, Buffer.from(base64, 'base64'), mode ? { mode } : undefined);
  }
  return builder.send();
}

async function readFile(repo, args) {
  const response = await repo.getFileStream(args);
  const bytes = Buffer.from(await response.arrayBuffer());
  return {
    status: response.status,
    base64: bytes.toString('base64'),
    headers: Object.fromEntries(response.headers),
  };
}

async function readArchive(repo, args) {
  const response = await repo.getArchiveStream(args);
  return { base64: Buffer.from(await response.arrayBuffer()).toString('base64') };
}

// Every kind of input that a file of a commit may have; each holds the same bytes.
function* sourcesOf(bytes) {
  const halves = [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];
  yield ['array', new Uint8Array(bytes)];
  yield ['buffer', new Uint8Array(bytes).buffer];
  yield ['view', new DataView(new Uint8Array(bytes).buffer)];
  yield ['blob', new Blob(halves)];
  yield ['file', new File(halves, 'name')];
  yield ['list', halves];
  yield ['web-stream', new Blob(halves).stream()];
  yield ['node-stream', Readable.from(halves)];
  yield ['generator', (async function* () { yield* halves; })()];
}

async function commitSources(repo, { base64, ...options }) {
  const builder = repo.createCommit(options);
  const names = [];
  for (const [name, source] of sourcesOf(Buffer.from(base64, 'base64'))) {
    builder.addFile(name, source);
    names.push(name);
  }
  builder.addFileFromString('text', 'Größe').addFileFromString('latin', 'é', { encoding: 'latin1' });
  builder.addFileFromString('hex', '00ff', { encoding: 'hex' }).addFile('empty', new Blob([]));
  return { names, ...(await builder.send()) };
}

async function commitAborted(repo, options) {
  const abort = new AbortController();
  async function* source() {
    yield 'half';
    abort.abort();
    yield 'never';
  }
  return repo.createCommit({ ...options, signal: abort.signal }).addFile('aborted', source()).send();
}

async function commitMany(repo, { count, ...options }) {
  const numbers = [...Array(count).keys()];
  const write = (n) => repo.createCommit(options).addFile(`files/${n}`, `${n}`).send();
  const settled = await Promise.allSettled(numbers.map(write));
  return settled.map(({ value, reason }) => value ?? describeError(reason));
}

async function closeHalfRead(repo, args) {
  for (const response of [await repo.getFileStream(args), await repo.getArchiveStream()]) {
    const reader = response.body.getReader();
    await reader.read();
    await reader.cancel();
  }
}

const onRepo = { commit, commitAborted, commitMany, commitSources, closeHalfRead, readFile, readArchive };

function call({ op, repo, args }) {
  if (repo === undefined) return onStorage[op] ? onStorage[op](args) : storage[op](args);
  const handle = storage.repo({ id: repo });
  return onRepo[op] ? onRepo[op](handle, args) : handle[op](args);
}

function describeError(error) {
  const { name, message, status, reason, refUpdate } = error;
  return { name, message, status, reason, refUpdate };
}

for await (const line of lines) {
  let answer;
  try {
    answer = { value: (await call(JSON.parse(line))) ?? null };
  } catch (error) {
    answer = { error: describeError(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
