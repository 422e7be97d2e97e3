import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import * as vscode from 'vscode';
import { PYTHON_VARIABLE } from '../contract/engine-api.ts';
import { AksmlError } from '../contract/error.ts';
import { pathSetting } from './settings.ts';

/**
 * A process of the engine, run by VS Code's own Node, which is there on the desktop, on remote machines and in the browser alike. Without
 * trust in the folder none is started, because it would run what the folder says.
 * @throws AksmlError `workspace.untrusted`
 */
export function spawnEngine(extensionPath: string): ChildProcess {
  if (!vscode.workspace.isTrusted) {
    throw new AksmlError(
      'workspace.untrusted',
      vscode.l10n.t('This folder is not trusted, and deploying runs its code.'),
      {
        fault: 'input',
        remedy: vscode.l10n.t('Trust the folder first (Manage Workspace Trust).'),
      },
    );
  }
  return spawn(process.execPath, [join(extensionPath, 'dist', 'engine-host.js')], {
    env: engineEnvironment(process.env),
    stdio: 'pipe',
    windowsHide: true,
  });
}

function engineEnvironment(inherited: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  // What is VS Code's own would only confuse the services that the engine starts, which outlive it.
  const environment = Object.fromEntries(
    Object.entries(inherited).filter(([name]) => !/^(VSCODE_|ELECTRON_|NODE_OPTIONS$|CHROME_DESKTOP$)/.test(name)),
  );
  const [home, kubeconfig, python] = ['home', 'kubeconfig', 'python'].map(pathSetting);
  return {
    ...environment,
    ELECTRON_RUN_AS_NODE: '1',
    ...(home ? { AKSML_HOME: home } : {}),
    ...(kubeconfig ? { KUBECONFIG: kubeconfig } : {}),
    ...(python ? { [PYTHON_VARIABLE]: python } : {}),
  };
}
