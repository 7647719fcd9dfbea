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

const onStorage = {
  createRepo: async (args) => describeRepo(await storage.createRepo(args)),
  findOne: async (args) => describeRepo(await storage.findOne(args)),
  listRepos: (args) => storage.listRepos(args),
  deleteRepo: (args) => storage.deleteRepo(args),
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

const onRepo = {
  commit,
  readFile,
  headFile: (repo, args) => repo.headFile(args),
  listFiles: (repo, args) => repo.listFiles(args),
  listBranches: (repo, args) => repo.listBranches(args),
  remote: (repo, args) => repo.getRemoteURL(args),
  ephemeralRemote: (repo, args) => repo.getEphemeralRemoteURL(args),
  importRemote: (repo, args) => repo.getImportRemoteURL(args),
};

function call({ op, repo, args }) {
  return repo === undefined
    ? onStorage[op](args)
    : onRepo[op](storage.repo({ id: repo }), args);
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
