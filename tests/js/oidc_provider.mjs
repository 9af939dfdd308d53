// An OpenID provider of a made-up company, made of the certified oidc-provider, with pages of its own to sign in.
// node oidc_provider.mjs PORT
//
// Clients register themselves (RFC 7591, 7592). PUT /people/LOGIN says what is claimed of a person, as JSON;
// the password of each is their login.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const port = Number(process.argv[2]);
const people = new Map();

const provider = new Provider(`http://127.0.0.1:${port}`, {
  // Which scope brings which claims: those of Google (hd), of Microsoft (tid, oid) and of Okta (groups by scope) alike.
  claims: {
    openid: ['sub', 'hd', 'tid', 'oid', 'roles'],
    email: ['email', 'email_verified'],
    profile: ['name', 'preferred_username', 'groups'],
    groups: ['groups'],
  },
  scopes: ['openid', 'email', 'profile', 'groups'],
  findAccount: (_, id) => ({
    accountId: id,
    claims: (use, scope) => {
      const { groups_by_scope: byScope, ...claims } = people.get(id) ?? {};
      if (byScope && !scope.split(' ').includes('groups')) delete claims.groups;
      return { sub: `subject-of-${id}`, ...claims };
    },
  }),
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true },
    registrationManagement: { enabled: true, rotateRegistrationAccessToken: false },
    revocation: { enabled: true },
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  cookies: { keys: ['of this test alone'] },
  ttl: { AccessToken: 300, AuthorizationCode: 60, Grant: 600, IdToken: 300, Interaction: 600, Session: 600 },
});
provider.on('server_error', (_, error) => console.error(error));

const page = (title, body) => `<!doctype html><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${body}`;
const form = (uid, step, body) => `<form method="post" action="/interaction/${uid}/${step}">${body}</form>`;

async function text(request) {
  let body = '';
  for await (const chunk of request) body += chunk;
  return body;
}

function html(response, status, body) {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8' });
  response.end(body);
}

/** Signing in and agreeing, as oidc-provider leaves both to whoever runs it. */
async function interaction(request, response, step) {
  const { uid, prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    const ask =
      prompt.name === 'login'
        ? form(uid, 'login', '<input name="login" aria-label="Login"><input name="password" type="password" aria-label="Password"><button>Continue</button>')
        : form(uid, 'consent', '<button>Allow</button>');
    return html(response, 200, page(prompt.name === 'login' ? 'Sign in at the company' : 'Allow access', ask + form(uid, 'abort', '<button>Refuse</button>')));
  }
  let result;
  if (step === 'login') {
    const given = new URLSearchParams(await text(request));
    const login = given.get('login');
    if (!people.has(login) || given.get('password') !== login) return html(response, 403, page('Not right', ''));
    result = { login: { accountId: login } };
  } else if (step === 'consent') {
    const grant = grantId ? await provider.Grant.find(grantId) : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const { missingOIDCScope, missingOIDCClaims } = prompt.details;
    if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
    if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
    result = { consent: { grantId: await grant.save() } };
  } else {
    result = { error: 'access_denied', error_description: 'the person refused' };
  }
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

const callback = provider.callback();
createServer(async (request, response) => {
  try {
    const { pathname } = new URL(request.url, 'http://127.0.0.1');
    const [, area, name, step] = pathname.split('/');
    if (area === 'people' && request.method === 'PUT') {
      people.set(name, JSON.parse(await text(request)));
      response.writeHead(204).end();
    } else if (area === 'interaction') {
      await interaction(request, response, step);
    } else {
      callback(request, response);
    }
  } catch (error) {
    html(response, 400, page('Something went wrong', String(error.message)));
  }
}).listen(port, '127.0.0.1', () => console.log('ready'));
