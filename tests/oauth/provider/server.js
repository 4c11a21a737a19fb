// An OpenID provider for the tests: the package oidc-provider with one client, people who log in with any password, and a
// door for the tests at /control. It listens on 127.0.0.1 and answers nobody who calls it by another name than its issuer's.
//
// node server.js --modules FOLDER [--host localhost] [--port 0] [--client-id ID] [--client-secret SECRET]
//
// Prints "ready ISSUER" once it serves. Ends with its standard input.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import path from 'node:path';
import { parseArgs } from 'node:util';

const { values: settings } = parseArgs({
  options: {
    modules: { type: 'string', default: '.' },
    host: { type: 'string', default: 'localhost' },
    port: { type: 'string', default: '0' },
    'client-id': { type: 'string', default: 'restpoint' },
    'client-secret': { type: 'string', default: 'client-secret' },
  },
});

// The modules are installed outside of the repository, where an import would not find them.
const modules = createRequire(path.resolve(settings.modules, 'package.json'));
const { Provider } = await import(modules.resolve('oidc-provider'));

// What the tests read and change while the provider runs.
const beginning = {
  accessTokenSeconds: 3600,
  // For the next calls of the token endpoint, one word each: "unavailable" answers 503 and does nothing; "lose-request" holds
  // the request until it is let go, and then drops it unread; "hold-reply" does all there is to do, and keeps the reply until
  // it is let go.
  tokenFaults: [],
};
const control = structuredClone(beginning);
// { grantType, status, tokens }, in the order of their arrival; status is null until there is a reply.
let tokenRequests = [];
let held = [];

const letGo = () => held.splice(0).forEach((go) => go());
const hold = () => new Promise((go) => { held.push(go); });

const server = createServer();
server.listen(Number(settings.port), '127.0.0.1');
await once(server, 'listening');
const authority = `${settings.host}:${server.address().port}`;
const issuer = `http://${authority}`;

const provider = new Provider(issuer, {
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  scopes: ['openid', 'offline_access', 'email', 'profile'],
  clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
  cookies: { keys: ['the keys of a provider that lives as long as a test run'] },
  pkce: { required: () => true, methods: ['S256'] },
  // The redirect URI holds a port that is not known yet when the provider starts, so the client is registered over HTTP
  // (RFC 7591), and again with each new port.
  features: {
    devInteractions: { enabled: false }, // its pages fetch fonts from elsewhere
    registration: {
      enabled: true,
      idFactory: () => settings['client-id'],
      secretFactory: () => settings['client-secret'],
      issueRegistrationAccessToken: false,
    },
    revocation: { enabled: true },
    introspection: { enabled: true },
  },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `${id} of the tests`, email: `${id}@example.org`, email_verified: true }),
  }),
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  rotateRefreshToken: true, // one that comes twice was stolen: all that the person granted is revoked
  ttl: {
    AccessToken: () => control.accessTokenSeconds,
    AuthorizationCode: 60,
    Grant: 3600,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 3600,
    Session: 3600,
  },
});

provider.on('server_error', (ctx, error) => console.error(error));

provider.use(async (ctx, next) => {
  if (ctx.path !== '/token') {
    await next();
    return;
  }
  const request = { grantType: null, status: null, tokens: [] };
  tokenRequests.push(request);
  const fault = control.tokenFaults.shift();
  if (fault === 'lose-request') {
    await hold();
    ctx.respond = false;
    ctx.req.socket.destroy();
    return;
  }
  if (fault === 'unavailable') {
    ctx.status = 503;
  } else {
    await next();
    request.grantType = ctx.oidc?.params?.grant_type ?? null;
    request.tokens = ['access_token', 'refresh_token', 'id_token'].flatMap((name) => ctx.body?.[name] ?? []);
  }
  request.status = ctx.status;
  if (fault === 'hold-reply') await hold();
});

const escaped = (text) => String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

const page = (res, title, body) => {
  res.setHeader('content-type', 'text/html; charset=utf-8');
  res.end(`<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<title>${escaped(title)}</title><h1>${escaped(title)}</h1>${body}</html>`);
};

const form = async (req) => {
  let text = '';
  for await (const chunk of req) text += chunk;
  return new URLSearchParams(text);
};

// The pages on which a person logs in and consents. The package leaves them to whoever runs a provider.
async function interact(req, res) {
  const { uid, prompt, params, session, grantId } = await provider.interactionDetails(req, res);
  const finish = (result) => provider.interactionFinished(req, res, result, { mergeWithLastSubmission: false });

  if (req.method === 'GET' && prompt.name === 'login') {
    page(res, 'Log in', `<form method="post" action="/interaction/${uid}">
<p><label>Name <input name="name" autofocus required></label>
<p><label>Password <input name="password" type="password" required></label>
<p><button>Log in</button></form>`);
  } else if (req.method === 'GET') {
    page(res, 'Consent', `<p>${escaped(session.accountId)}, may ${escaped(params.client_id)} use
<b>${escaped(params.scope)}</b>?<form method="post" action="/interaction/${uid}">
<button name="answer" value="allow">Allow</button> <button name="answer" value="deny">Deny</button></form>`);
  } else if (prompt.name === 'login') {
    await finish({ login: { accountId: (await form(req)).get('name') } });
  } else if ((await form(req)).get('answer') !== 'allow') {
    await finish({ error: 'access_denied', error_description: 'The person said no.' });
  } else {
    const grant = grantId
      ? await provider.Grant.find(grantId)
      : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(' '));
    if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
    await finish({ consent: { grantId: await grant.save() } });
  }
}

// GET tells what there was; PATCH changes what will be; DELETE makes all as it was in the beginning.
async function controlled(req, res) {
  if (req.method === 'PATCH') {
    const changes = await new Response(req).json();
    if (changes.letGo) letGo();
    for (const name of Object.keys(beginning)) if (name in changes) control[name] = changes[name];
  } else if (req.method === 'DELETE') {
    letGo();
    Object.assign(control, structuredClone(beginning));
    tokenRequests = [];
  }
  res.setHeader('content-type', 'application/json');
  res.end(JSON.stringify({ ...control, tokenRequests, held: held.length }));
}

const answer = provider.callback();

server.on('request', async (req, res) => {
  try {
    // Whoever resolves another name to this machine is not meant (DNS rebinding), not even by /control.
    if (req.headers.host !== authority) {
      res.writeHead(421).end();
    } else if (req.url === '/control') {
      await controlled(req, res);
    } else if (req.url.startsWith('/interaction/')) {
      await interact(req, res);
    } else {
      await answer(req, res);
    }
  } catch (error) {
    console.error(error);
    if (!res.headersSent) res.writeHead(error.statusCode ?? 500);
    res.end();
  }
});

process.stdin.on('end', () => process.exit()).resume();
console.log(`ready ${issuer}`);
