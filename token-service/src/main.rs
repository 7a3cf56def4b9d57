//! The command line of the token-service.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use portcullis_token_service::admin_client::AdminCommand;
use portcullis_token_service::app::App;
use portcullis_token_service::apply::ConfigSource;
use portcullis_token_service::check_server::check_server;
use portcullis_token_service::clock::{SystemClock, SystemEntropy};
use portcullis_token_service::egress::EgressPolicy;
use portcullis_token_service::http::error::error_chain;
use portcullis_token_service::import::ImportCommand;
use portcullis_token_service::render::RenderCommand;
use portcullis_token_service::store::Tables;
use portcullis_token_service::store_commands::{StoreCommand, migrate_command, verify_command};
use portcullis_token_service::telemetry::{self, Traces};
use tokio::signal::unix::{SignalKind, signal};

/// The token-service of Portcullis: registry, policy, leases and sealed credentials behind the filter.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service until SIGTERM or SIGINT.
    Serve {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// What to log: a level, or levels by module such as `info,portcullis_token_service::http=debug`.
        #[arg(long, value_name = "LEVELS", env = "PORTCULLIS_LOG", default_value = "info")]
        log: String,
        /// Leaves the database's tables as they are, and does not start if they are not up to date. See `migrate`.
        #[arg(long)]
        no_migrate: bool,
    },
    /// Brings the tables of the configured database up to date, as `serve` does when it starts.
    Migrate {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Opens every secret in the database where it is kept, and names those that do not open; ends with 1 if there are
    /// any. Changes nothing.
    Verify {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Prints JSON.
        #[arg(long)]
        json: bool,
    },
    /// Does something with a whole database.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Reads a configuration as `serve` would and prints everything that is wrong with it.
    Check {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Asks a server how it wants to be authorised, and prints what to write into the configuration.
    CheckServer {
        /// The server's MCP endpoint.
        url: String,
        /// Whose section `egress` says what may be asked besides public addresses.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Prints the registry as resources of a mesh or of Envoy, one of its own for each upstream, to be reviewed and applied.
    #[command(subcommand)]
    Render(RenderCommand),
    /// Makes a part of a portcullis.yaml of what another gateway knows of servers. Secrets stay out of it: standard error
    /// says which to put where, and what was not carried over.
    #[command(subcommand)]
    Import(ImportCommand),
    #[command(flatten)]
    Admin(AdminCommand),
    /// Prints a script with which a shell completes these commands, such as for ~/.bashrc: source <(portcullis
    /// completions bash).
    Completions { shell: Shell },
    /// Prints the version.
    Version,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve { config, log, no_migrate } => {
            let tables = if no_migrate { Tables::Required } else { Tables::BringUpToDate };
            Box::pin(serve(config, &log, tables)).await
        }
        Command::Migrate { config, json } => bring_up_to_date(config, json).await,
        Command::Verify { config, json } => match Box::pin(verify(config, json)).await {
            Ok(is_good) => return if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE },
            Err(error) => Err(error),
        },
        Command::Store(command) => change_store(command).await,
        Command::Check { config } => return check(config),
        Command::CheckServer { url, config } => check_url(&url, config).await,
        Command::Render(command) => render(command).await,
        Command::Import(command) => import(command),
        Command::Admin(command) => return Box::pin(command.run()).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "portcullis", &mut io::stdout());
            Ok(())
        }
        Command::Version => {
            writeln!(io::stdout(), "portcullis {}", env!("CARGO_PKG_VERSION")).map_err(Into::into)
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do if standard error is closed.
            let _ = writeln!(io::stderr(), "portcullis: {}", error_chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Its memory holds credentials, so a fault must not leave a copy of it on a disk, whatever the user's limits are.
fn leave_no_core_behind() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}

/// Every filter keeps a connection, and many systems let a program have a thousand descriptors unless it asks for more.
fn take_all_descriptors() {
    // Where that is refused, it goes on with those that it has.
    let _ = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
}

async fn serve(config: PathBuf, levels: &str, tables: Tables) -> Outcome {
    leave_no_core_behind()?;
    take_all_descriptors();
    let source = source(config);
    let traces = traces(&source)?;
    let subscriber = telemetry::subscriber_with(levels, io::stderr, traces.as_ref())?;
    tracing::subscriber::set_global_default(subscriber)?;
    telemetry::log_panics();
    let app = App::build_on(source, tables, Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
    let addresses = app.addresses()?;
    let shutdown = app.shutdown();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        tracing::info!("stopping; a second signal stops at once");
        shutdown.request();
        tokio::select! { _ = terminate.recv() => {} _ = interrupt.recv() => {} }
        std::process::exit(1);
    });
    tracing::info!(
        internal = addresses.internal,
        admin = addresses.admin,
        public = addresses.public,
        metrics = addresses.metrics,
        "listening"
    );
    let served = Box::pin(app.serve()).await;
    if let Some(traces) = traces {
        tokio::task::spawn_blocking(move || traces.stop()).await?;
    }
    served?;
    tracing::info!("stopped");
    Ok(())
}

async fn bring_up_to_date(config: PathBuf, json: bool) -> Outcome {
    let service = source(config).load()?.service;
    write!(io::stdout(), "{}", migrate_command(&service, json).await?)?;
    Ok(())
}

/// Answers whether everything opens.
async fn verify(config: PathBuf, json: bool) -> Result<bool, Box<dyn std::error::Error>> {
    let service = source(config).load()?.service;
    let verdict = verify_command(&service, json).await?;
    write!(io::stdout(), "{}", verdict.text)?;
    Ok(verdict.is_good)
}

async fn change_store(command: StoreCommand) -> Outcome {
    let done = Box::pin(command.run(&|name| std::env::var(name).ok())).await?;
    write!(io::stdout(), "{done}")?;
    Ok(())
}

/// Where spans go: to the endpoint in the configuration, or as the standard variables say; nowhere without either. What else
/// is wrong with the configuration is reported when it is applied.
fn traces(source: &ConfigSource) -> Result<Option<Traces>, Box<dyn std::error::Error>> {
    let endpoint = source.load().ok().and_then(|config| config.service.otlp_endpoint);
    let is_set = |name: &str| (source.environment)(name).is_some_and(|value| !value.is_empty());
    let is_wanted = endpoint.is_some()
        || is_set("OTEL_EXPORTER_OTLP_ENDPOINT")
        || is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
    if !is_wanted {
        return Ok(None);
    }
    Traces::export(endpoint.as_deref()).map(Some)
}

/// Prints every problem with its place, as compilers do, so that editors can jump there.
fn check(config: PathBuf) -> ExitCode {
    let source = source(config);
    // Nothing is left to do if the standard streams are closed; the exit code says it too.
    match source.load() {
        Ok(_) => {
            let _ = writeln!(io::stdout(), "{} is good", source.path.display());
            ExitCode::SUCCESS
        }
        Err(problems) => {
            let _ = writeln!(io::stderr(), "{problems}");
            ExitCode::FAILURE
        }
    }
}

async fn check_url(url: &str, config: Option<PathBuf>) -> Outcome {
    let policy = match config {
        Some(path) => source(path).load()?.service.egress,
        None => EgressPolicy::default(),
    };
    write!(io::stdout(), "{}", check_server(url, &policy).await?)?;
    Ok(())
}

async fn render(command: RenderCommand) -> Outcome {
    write!(io::stdout(), "{}", Box::pin(command.run()).await?)?;
    Ok(())
}

fn import(command: ImportCommand) -> Outcome {
    let imported = command.run()?;
    write!(io::stdout(), "{}", imported.yaml)?;
    write!(io::stderr(), "{}", imported.report)?;
    Ok(())
}

fn source(path: PathBuf) -> ConfigSource {
    let environment = Box::new(|name: &str| std::env::var(name).ok());
    ConfigSource { path, environment }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
