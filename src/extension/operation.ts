import * as vscode from 'vscode';
import type { EventOf, MethodName, ParamsOf, ResultOf } from '../contract/engine-api.ts';
import type { ProgressEvent } from '../contract/event.ts';
import type { AksmlWindow } from './aksml-window.ts';
import { signalOf } from './cancellation.ts';
import { ProgressReporter } from './progress-text.ts';

/** The methods that tell {@link ProgressEvent}s. */
export type OperationName = {
  [M in MethodName]: [EventOf<M>] extends [never] ? never : EventOf<M> extends ProgressEvent ? M : never;
}[MethodName];

/**
 * Asks the engine for something that takes its time, with a notification that says how far it is and can cancel it. What tools and replicas
 * say meanwhile goes to the output channel.
 * @throws AksmlError as the engine
 */
export async function runOperation<M extends OperationName>(
  { engine, output }: Pick<AksmlWindow, 'engine' | 'output'>,
  title: string,
  method: M,
  params: ParamsOf<M>,
  onEvent?: (event: ProgressEvent) => void,
): Promise<ResultOf<M>> {
  output.info(title);
  const options = { location: vscode.ProgressLocation.Notification, title, cancellable: true };
  return vscode.window.withProgress(options, async (progress, token) => {
    const reporter = new ProgressReporter(vscode.l10n.t);
    return engine.request(method, params, {
      signal: signalOf(token),
      onEvent: (event) => {
        logEvent(output, event as ProgressEvent);
        onEvent?.(event as ProgressEvent);
        const report = reporter.report(event as ProgressEvent);
        if (report) progress.report(report);
      },
    });
  });
}

function logEvent(output: vscode.LogOutputChannel, event: ProgressEvent): void {
  switch (event.type) {
    case 'start':
      output.info(event.label);
      break;
    case 'done':
      output.info(`${event.stage}: ${event.detail}`);
      break;
    case 'log':
      output.debug(`${event.source}: ${event.line}`);
      break;
    case 'failed':
      output.error(`${event.stage}: ${event.error.message}`);
      break;
    case 'problem':
      output[event.problem.severity === 'notice' ? 'info' : 'warn'](
        [event.problem.message, event.problem.remedy].filter(Boolean).join(' '),
      );
      break;
    case 'state':
      output.info(`${event.endpoint}: ${[event.state, event.detail].filter(Boolean).join(', ')}`);
      break;
    case 'progress':
      break;
    default:
      event satisfies never;
  }
}

/** A short request with a busy line at the bottom of the window. */
export function busily<T>(title: string, work: () => Promise<T>): Thenable<T> {
  return vscode.window.withProgress({ location: vscode.ProgressLocation.Window, title }, work);
}
