// Drives the released TypeScript client for tests/acceptance/test_sdk_typescript.py.
//
// The first line of standard input holds the client's options; each further line is one call,
// {"op": …, "repo": …, "args": {…}}, and is answered by one line: {"value": …} or {"error": {…}}.
import { createInterface } from 'node:readline';

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

const onRepo = { commit, readFile, readArchive };

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
