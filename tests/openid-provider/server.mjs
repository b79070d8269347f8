// An OpenID provider that we did not write, for the gateway to log in at: the npm
// package oidc-provider with CIBA in poll mode, with the standard's own scopes and any
// of the forms of a login hint. Beside it stands a control server that plays the
// person with the phone.
//
// Prints one line of JSON when both listen, on free loopback ports:
//   {"issuer": "…", "control": "…", "clients": [{"client_id", "client_secret",
//    "token_endpoint_auth_method", "id_token_signed_response_alg"}, …]}
// and exits when its standard input closes.
//
// Control, all answers in JSON:
//   GET  /requests                       every login asked for, oldest first
//   POST /approve  {"msisdn": "4791…"}   the newest undecided login of that number
//   POST /deny     {"msisdn": "4791…"}
//   POST /expire   {"msisdn": "4791…"}
// The POSTs answer 200 with the request, or 404 when that number has none open.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { json } from 'node:stream/consumers';

import { exportJWK, generateKeyPair } from 'jose';
import Provider, { errors } from 'oidc-provider';

const CIBA = 'urn:openid:params:grant-type:ciba';
const MOUNT = '/oidc';

const clients = [
  ['gateway-client', 'Zk3v+Q8m/T1:xYb6%20nRw=', 'client_secret_basic', 'RS256'],
  ['gateway-client-post', 'Hc7p+L2d/J9:sVf4%20gKe=', 'client_secret_post', 'ES256'],
].map(([client_id, client_secret, token_endpoint_auth_method, id_token_signed_response_alg]) => ({
  client_id,
  client_secret,
  token_endpoint_auth_method,
  id_token_signed_response_alg,
}));

/** Every login asked for: `{ msisdn, state, token }`, where `token` is the library's own record. */
const requests = [];

/** Subject identifier to phone number. Anybody with a phone number has an account. */
const people = new Map();

function subjectOf(msisdn) {
  const sub = createHash('sha256').update(msisdn).digest('hex').slice(0, 32);
  people.set(sub, msisdn);
  return sub;
}

async function listen(server) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `http://127.0.0.1:${server.address().port}`;
}

async function signingKeys() {
  return Promise.all(
    ['RS256', 'ES256'].map(async (alg) => {
      const { privateKey } = await generateKeyPair(alg, { extractable: true });
      return { ...(await exportJWK(privateKey)), alg, use: 'sig', kid: alg.toLowerCase() };
    }),
  );
}

function findAccount(_ctx, sub) {
  const msisdn = people.get(sub);
  return msisdn && {
    accountId: sub,
    claims: () => ({
      sub,
      name: 'Kari Nordmann',
      given_name: 'Kari',
      family_name: 'Nordmann',
      phone_number: `+${msisdn}`,
      phone_number_verified: true,
      email: `${msisdn}@example.com`,
      email_verified: true,
      birthdate: '1986-04-17',
      gender: 'female',
      nickname: 'Kaja',
      address: {
        address_type: 'home',
        street_address: 'Storgata 1',
        postal_code: '0155',
        region: 'Oslo',
        country: 'NO',
        formatted: 'Storgata 1\n0155\nOslo\nNO',
      },
    }),
  };
}

const ciba = {
  enabled: true,
  deliveryModes: ['poll'],
  processLoginHint(_ctx, hint) {
    const msisdn = /^(?:urn:msisdn:|tel:\+|\+)?(\d{5,15})$/.exec(hint)?.[1];
    if (!msisdn) throw new errors.InvalidRequest('login_hint must be a number');
    return subjectOf(msisdn);
  },
  validateBindingMessage(_ctx, message) {
    if (message !== undefined && !/^[A-Z0-9-]{5,8}$/.test(message)) {
      throw new errors.InvalidBindingMessage('binding_message must be 5 to 8 of A-Z, 0-9 and -');
    }
  },
  validateRequestContext() {},
  verifyUserCode() {},
  triggerAuthenticationDevice(_ctx, token, account) {
    requests.push({ msisdn: people.get(account.accountId), state: 'pending', token });
  },
};

async function newProvider(issuer) {
  return new Provider(issuer, {
    clients: clients.map((client) => ({
      ...client,
      grant_types: [CIBA],
      response_types: [],
      redirect_uris: [],
      backchannel_token_delivery_mode: 'poll',
    })),
    jwks: { keys: await signingKeys() },
    findAccount,
    claims: {
      openid: ['sub'],
      profile: ['name', 'given_name', 'family_name', 'birthdate', 'gender', 'nickname'],
      phone: ['phone_number', 'phone_number_verified'],
      email: ['email', 'email_verified'],
      address: ['address'],
    },
    features: { ciba, revocation: { enabled: true }, devInteractions: { enabled: false } },
    ttl: {
      AccessToken: 300,
      BackchannelAuthenticationRequest: (ctx) => Math.min(Number(ctx?.oidc.params.requested_expiry ?? 600), 900),
      Grant: 900,
      IdToken: 600,
    },
    cookies: { keys: ['this provider sets no cookies'] },
  });
}

/** What the person with the phone can do. */
function deeds(provider) {
  return {
    async approve({ token }) {
      const grant = new provider.Grant({ accountId: token.accountId, clientId: token.clientId });
      grant.addOIDCScope(token.scope);
      await grant.save();
      await provider.backchannelResult(token.jti, grant, { authTime: Math.floor(Date.now() / 1000) });
    },
    async deny({ token }) {
      await provider.backchannelResult(token.jti, new errors.AccessDenied('the person said no'));
    },
    // Dates the stored request back, so that the library itself finds it expired.
    async expire({ token }) {
      const stored = await token.adapter.find(token.jti);
      await token.adapter.upsert(token.jti, { ...stored, exp: Math.floor(Date.now() / 1000) - 1 }, 600);
    },
  };
}

function shown({ msisdn, state, token }) {
  const { login_hint, binding_message, requested_expiry } = token.params;
  const { jti: auth_req_id, clientId: client_id, scope } = token;
  return { msisdn, state, auth_req_id, client_id, scope, login_hint, binding_message, requested_expiry };
}

const STATE_AFTER = { approve: 'approved', deny: 'denied', expire: 'expired' };

async function control(provider, request) {
  if (request.method === 'GET' && request.url === '/requests') return [200, requests.map(shown)];
  const verb = request.url.slice(1);
  if (request.method !== 'POST' || !Object.hasOwn(STATE_AFTER, verb)) return [404, { error: 'no such control' }];
  const { msisdn } = await json(request);
  const login = requests.findLast((each) => each.msisdn === msisdn && each.state === 'pending');
  if (!login) return [404, { error: 'no open request of that number' }];
  await deeds(provider)[verb](login);
  login.state = STATE_AFTER[verb];
  return [200, shown(login)];
}

// The library reports to the console; standard output is for the one line.
console.info = console.error;
console.warn = console.error;

const providerServer = createServer();
const issuer = (await listen(providerServer)) + MOUNT;
const provider = await newProvider(issuer);
provider.on('server_error', (_ctx, error) => console.error(error));
const answer = provider.callback();
providerServer.on('request', (request, response) => {
  if (!request.url.startsWith(`${MOUNT}/`)) {
    response.writeHead(404).end();
    return;
  }
  request.originalUrl = request.url;
  request.url = request.url.slice(MOUNT.length);
  answer(request, response);
});

const controlServer = createServer(async (request, response) => {
  const [status, body] = await control(provider, request).catch((error) => [500, { error: String(error) }]);
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
});
const controlUrl = await listen(controlServer);

console.log(JSON.stringify({ issuer, control: controlUrl, clients }));
process.stdin.resume();
process.stdin.on('close', () => process.exit(0));
