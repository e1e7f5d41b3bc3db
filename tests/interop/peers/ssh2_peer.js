// npm's ssh2 as a program: a client like `ssh`, and a server that runs commands with /bin/sh. The command line
// is that of all peers: peers/go/main.go.
'use strict';
const { spawn } = require('child_process');
const fs = require('fs');
const net = require('net');
const { parseArgs } = require('util');
const { Client, Server, utils } = require('ssh2');

const role = process.argv[2];
const text = { type: 'string' };
const { values: args, positionals } = parseArgs({
  args: process.argv.slice(3),
  allowPositionals: true,
  options: {
    port: text, user: text, key: text, certificate: text, password: text, interactive: text, agent: { type: 'boolean' },
    'host-key': text, authorized: text, authority: text, rekey: text,
    env: { type: 'string', multiple: true }, exec: text, subsystem: text, shell: { type: 'boolean' },
    direct: text, local: text, remote: text, type: text,
  },
});

function fail(error) {
  process.stderr.write(`ssh2 peer: ${error.message || error}\n`);
  process.exit(255);
}
const blobOf = (line) => Buffer.from(line.split(' ')[1], 'base64');

// ---------------------------------------------------------------- client

// A channel and a socket, with both half-closes.
function join(channel, visitor) {
  visitor.pipe(channel).pipe(visitor);
  visitor.on('error', () => channel.close());
}

function attach(channel) {
  process.stdin.pipe(channel).pipe(process.stdout);
  if (channel.stderr) channel.stderr.pipe(process.stderr);
  let code = 0;
  channel.on('exit', (status) => { code = status === null ? 255 : status; });
  channel.on('close', () => { process.exitCode = code; process.stdin.destroy(); connection.end(); });
}

let connection;
function client() {
  connection = new Client();
  const then = (use) => (error, channel) => (error ? fail(error) : use(channel));
  connection.on('error', fail);
  connection.on('keyboard-interactive', (name, text_, lang, prompts, answer) => answer(prompts.map(() => args.interactive)));
  connection.on('ready', () => {
    const env = Object.fromEntries((args.env || []).map((one) => one.split(/=(.*)/s).slice(0, 2)));
    if (args.direct) return connection.forwardOut('127.0.0.1', 1, args.direct, 1, then(attach));
    if (args.local) {
      const isPath = args.local.startsWith('/');
      const listener = net.createServer({ allowHalfOpen: true }, (visitor) => {
        const joined = then((channel) => join(channel, visitor));
        if (isPath) connection.openssh_forwardOutStreamLocal('/' + positionals[0], joined);
        else connection.forwardOut('127.0.0.1', 1, positionals[0], 1, joined);
      });
      return isPath ? listener.listen(args.local) : listener.listen(Number(args.local), '127.0.0.1');
    }
    if (args.remote) {
      connection.on('tcp connection', (_, accept) => {
        const visitor = net.connect({ port: Number(positionals[0]), host: '127.0.0.1', allowHalfOpen: true });
        visitor.on('connect', () => join(accept(), visitor));
      });
      return connection.forwardIn('127.0.0.1', Number(args.remote), then(() => {}));
    }
    if (args.subsystem) return connection.subsys(args.subsystem, then(attach));
    if (args.shell) return connection.shell(false, then(attach));
    return connection.exec(args.exec, { env }, then(attach));
  });
  connection.connect({
    host: '127.0.0.1', port: Number(args.port), username: args.user, readyTimeout: 60000, strictVendor: false,
    password: args.password, privateKey: args.key && fs.readFileSync(args.key),
    tryKeyboard: Boolean(args.interactive), agent: args.agent && process.env.SSH_AUTH_SOCK,
    hostVerifier: (key) => key.equals(blobOf(args['host-key'])),
  });
}

// ---------------------------------------------------------------- server

function run(channel, command, env) {
  const program = spawn('/bin/sh', ['-c', command], { env: { ...process.env, ...env } });
  channel.pipe(program.stdin);
  program.stdin.on('error', () => {});
  program.stdout.pipe(channel, { end: false });
  program.stderr.pipe(channel.stderr, { end: false });
  program.on('close', (code, signal) => {
    if (signal) channel.exit(signal.replace('SIG', ''));
    else channel.exit(code);
    channel.end();
  });
}

function server() {
  const known = blobOf(args.authorized);
  const offered = ['publickey'].concat(args.password ? ['password'] : [], args.interactive ? ['keyboard-interactive'] : []);
  const listener = new Server({ hostKeys: [fs.readFileSync(args['host-key'])] }, (link) => {
    link.on('error', (error) => process.stderr.write(`ssh2 peer: ${error.message}\n`));
    link.on('authentication', (attempt) => {
      if (attempt.method === 'password' && args.password && attempt.password === args.password) return attempt.accept();
      if (attempt.method === 'keyboard-interactive' && args.interactive) {
        return attempt.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
          (answers.length === 1 && answers[0] === args.interactive ? attempt.accept() : attempt.reject()));
      }
      if (attempt.method !== 'publickey' || !attempt.key.data.equals(known))
        return attempt.reject(offered);
      if (!attempt.signature) return attempt.accept();
      const key = utils.parseKey(args.authorized);
      return key.verify(attempt.blob, attempt.signature, attempt.hashAlgo) === true ? attempt.accept() : attempt.reject();
    });
    link.on('session', (accept) => {
      const session = accept();
      const env = {};
      session.on('env', (yes, no, info) => { env[info.key] = info.val; if (yes) yes(); });
      session.on('exec', (yes, no, info) => run(yes(), info.command, env));
      session.on('shell', (yes) => run(yes(), '/bin/sh', env));
      session.on('subsystem', (yes, no, info) => (info.name === 'echo' ? run(yes(), 'cat', env) : no()));
    });
    const lead = (where) => (accept, reject) => {
      const target = net.connect({ ...where, allowHalfOpen: true });
      target.on('connect', () => join(accept(), target));
      target.on('error', () => reject());
    };
    link.on('tcpip', (accept, reject, info) => lead({ host: info.destIP, port: info.destPort })(accept, reject));
    link.on('openssh.streamlocal', (accept, reject, info) => lead({ path: info.socketPath })(accept, reject));
  });
  listener.listen(0, '127.0.0.1', () => process.stderr.write(`listening ${listener.address().port}\n`));
}

if (role === 'server') server();
else client();
