/** How v1 read one field of an environment; the tables below are also the schema's and the unknown-key check's. */
export type EnvironmentField = { readonly help: string } & (
  | { readonly kind: 'text' | 'boolean' | 'integer' | 'texts' | 'mapping' | 'conda' }
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  | { readonly kind: 'section'; readonly fields: EnvironmentFields }
  | { readonly kind: 'sections'; readonly fields: EnvironmentFields }
);

export type EnvironmentFields = Readonly<Record<string, EnvironmentField>>;

const text = (help: string): EnvironmentField => ({ kind: 'text', help });
const boolean = (help: string): EnvironmentField => ({ kind: 'boolean', help });
const texts = (help: string): EnvironmentField => ({ kind: 'texts', help });
const section = (help: string, fields: EnvironmentFields): EnvironmentField => ({ kind: 'section', help, fields });
const sections = (help: string, fields: EnvironmentFields): EnvironmentField => ({ kind: 'sections', help, fields });

const PACKAGE: EnvironmentFields = { package: text('Package name.'), repo: text('Where to find it.') };
const LIBRARY: EnvironmentFields = { library: text('Address of the library.') };

const PYTHON: EnvironmentFields = {
  userManagedDependencies: boolean(
    'true: the image, or the interpreter, brings every package and nothing is installed.',
  ),
  interpreterPath: text('The interpreter; "python" by default.'),
  condaDependenciesFile: text('Carried along, never read.'),
  baseCondaEnvironment: text('Carried along, never used here.'),
  condaDependencies: {
    kind: 'conda',
    help: 'The content of a conda environment file: name, channels, dependencies with a pip list.',
  },
};

const DOCKER: EnvironmentFields = {
  enabled: boolean('Without effect.'),
  baseImage: text('Image to start from.'),
  baseDockerfile: text('Text (not path) of a Dockerfile to start from; excludes baseImage.'),
  buildContext: section('A Docker build context.', {
    locationType: { kind: 'choice', values: ['git', 'storageAccount'], help: 'Where the context is.' },
    location: text('Address of the context.'),
    dockerfilePath: text('Dockerfile inside the context; "Dockerfile" by default.'),
  }),
  sharedVolumes: boolean('Without effect.'),
  shmSize: text('Size of shared memory, such as "2g".'),
  arguments: texts('Extra arguments for the container; without effect on a cluster.'),
  baseImageRegistry: section('Registry of the base image.', {
    address: text('Host name.'),
    username: text('User name.'),
    password: text('Password.'),
    registryIdentity: section('Managed identity to pull with.', {
      resourceId: text('Resource id.'),
      clientId: text('Client id.'),
    }),
  }),
  platform: section('Platform of the image.', {
    os: text('"Linux".'),
    architecture: text('"amd64" by default.'),
  }),
};

const SPARK: EnvironmentFields = {
  repositories: texts('Maven repositories.'),
  packages: sections('Maven packages.', {
    group: text('Group id.'),
    artifact: text('Artifact id.'),
    version: text('Version.'),
  }),
  precachePackages: boolean('Whether to fetch them in advance.'),
};

const DATABRICKS: EnvironmentFields = {
  mavenLibraries: sections('Maven libraries.', {
    coordinates: text('group:artifact:version.'),
    repo: text('Repository.'),
    exclusions: texts('Dependencies to leave out.'),
  }),
  pypiLibraries: sections('PyPI libraries.', PACKAGE),
  rcranLibraries: sections('CRAN libraries.', PACKAGE),
  jarLibraries: sections('JAR libraries.', LIBRARY),
  eggLibraries: sections('Egg libraries.', LIBRARY),
  cluster: section('Databricks cluster.', {
    existingClusterId: text('An existing cluster.'),
    sparkVersion: text('Spark version.'),
    nodeType: text('Size of the machines.'),
    instancePoolId: text('Pool of machines.'),
    numWorkers: { kind: 'integer', help: 'Machines.' },
    minWorkers: { kind: 'integer', help: 'Fewest machines.' },
    maxWorkers: { kind: 'integer', help: 'Most machines.' },
  }),
};

const R: EnvironmentFields = {
  rVersion: text('R version.'),
  userManaged: boolean('Whether the image brings the packages.'),
  rscriptPath: text('Path of Rscript.'),
  snapshotDate: text('Snapshot date of the package repository.'),
  cranPackages: sections('CRAN packages.', {
    name: text('Name.'),
    version: text('Version.'),
    repository: text('Repository.'),
  }),
  githubPackages: sections('GitHub packages.', {
    repository: text('user/repository.'),
    authToken: text('Token of a private repository.'),
  }),
  customUrlPackages: texts('Packages by address.'),
  bioconductorPackages: texts('Bioconductor packages.'),
};

export const ENVIRONMENT_FIELDS: EnvironmentFields = {
  name: text('Name of the environment.'),
  version: text('Version of the environment.'),
  environmentVariables: { kind: 'mapping', help: 'Variables that the scoring script sees.' },
  python: section('Python and its packages.', PYTHON),
  docker: section('The image to start from.', DOCKER),
  spark: section('Spark; without effect here.', SPARK),
  databricks: section('Databricks; without effect here.', DATABRICKS),
  r: section('R; without effect here.', R),
  inferencingStackVersion: text('"latest" adds the serving layer to a custom image.'),
  assetId: text('Set by v1 when registered.'),
  secretEnvironmentVariables: texts(
    'Names of variables whose values are kept outside every file and image. An addition of aksml; v1 ignores it.',
  ),
};

/** v1 never read this one, so a wrong type of it breaks nothing there. */
export const ADDED_FIELDS: ReadonlySet<string> = new Set(['secretEnvironmentVariables']);
