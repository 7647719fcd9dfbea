// Validates one webhook request with the released TypeScript client, for tests/acceptance/outside/test_webhooks.py.
//
// Standard input holds {"body": …, "headers": …, "secret": …}; the answer is the validator's, as JSON.
import { text } from 'node:stream/consumers';

import { validateWebhook } from '@pierre/storage';

const { body, headers, secret } = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await validateWebhook(body, headers, secret)));
