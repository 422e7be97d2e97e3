// Plain JavaScript, because any Node >= 20 must be able to run it.
import { spawn } from 'node:child_process';

const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'];

export async function runToEnd(command, args, options = {}) {
  const child = spawn(command, args, { stdio: 'inherit', ...options });
  let stoppedBy;
  const passOn = (signal) => {
    stoppedBy = signal;
    if (child.exitCode !== null || child.signalCode !== null) return;
    if (options.detached) process.kill(-child.pid, signal);
    else child.kill(signal);
  };
  for (const signal of ENDING) process.on(signal, passOn);
  try {
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', resolve);
    });
    return { code: code ?? 130, stoppedBy };
  } finally {
    for (const signal of ENDING) process.off(signal, passOn);
  }
}
