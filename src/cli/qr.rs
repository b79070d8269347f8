//! `qr`: a shop's QR codes: made, shown, listed and removed.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::EXIT_SOFTWARE;
use super::client::{Connection, Problem};
use super::terminal::{Style, Terminal};
use crate::grpc::v1::{CreateShopQrRequest, DeleteShopQrRequest, ListShopQrsRequest, ShopQr, ShopQrCategory};
use crate::shop_qr::drawing::Drawing;

#[derive(Args)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a terminal's code, or change its description; the printed code stays as it is.
    Create(Create),
    /// List the tenant's codes.
    List(List),
    /// Draw a code that there is.
    Show(Show),
    /// Remove a code: whoever scans it is told that it is unknown.
    Delete(Delete),
}

#[derive(Args)]
struct Create {
    /// The till or machine.
    #[arg(long, value_name = "ID")]
    terminal: String,
    /// What the app tells whoever scans it, such as "Till 4": at most 36 characters.
    #[arg(long, value_name = "TEXT")]
    location: String,
    /// Tells several codes of one terminal apart.
    #[arg(long, default_value = "", value_name = "NAME")]
    name: String,
    /// What kind of place it stands at.
    #[arg(long, value_enum, default_value = "in-store")]
    category: CategoryName,
    #[command(flatten)]
    picture: Picture,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
struct List {
    /// Only this terminal.
    #[arg(long, default_value = "", value_name = "ID")]
    terminal: String,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
struct Show {
    /// The code, by its id.
    qr_id: String,
    #[command(flatten)]
    picture: Picture,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
struct Delete {
    /// The code, by its id.
    qr_id: String,
    #[command(flatten)]
    connection: Connection,
}

/// Where the picture goes.
#[derive(Args)]
struct Picture {
    /// Write the picture as SVG, for print.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the picture as PNG.
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Pixels of the PNG: 100 to 2000.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(100..=2000), value_name = "PIXELS")]
    size: u32,
}

#[derive(Clone, Copy, ValueEnum)]
enum CategoryName {
    InStore,
    Vending,
}

pub(super) async fn run(options: Options) -> ExitCode {
    let done = match options.command {
        Command::Create(create) => create.run().await,
        Command::List(list) => list.run().await,
        Command::Show(show) => show.run().await,
        Command::Delete(delete) => delete.run().await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => problem.exit(),
    }
}

impl Create {
    async fn run(self) -> Result<(), Problem> {
        let category = match self.category {
            CategoryName::InStore => ShopQrCategory::InStore,
            CategoryName::Vending => ShopQrCategory::Vending,
        };
        let request = CreateShopQrRequest {
            terminal_id: self.terminal,
            location_description: self.location,
            category: category.into(),
            name: self.name,
            image_size: self.picture.size,
        };
        let answer = self.connection.open_shop()?.create_shop_qr(request).await?;
        self.picture.show(&answer.into_inner().shop_qr.unwrap_or_default())
    }
}

impl List {
    async fn run(self) -> Result<(), Problem> {
        let terminal = Terminal::stdout();
        for code in codes(&self.connection, &self.terminal, None).await? {
            terminal.line(line(terminal, &code));
        }
        Ok(())
    }
}

impl Show {
    async fn run(self) -> Result<(), Problem> {
        let codes = codes(&self.connection, "", Some(self.picture.size)).await?;
        match codes.iter().find(|code| code.qr_id == self.qr_id) {
            Some(code) => self.picture.show(code),
            None => Err(Problem::input("there is no such code; `ciba-gateway qr list` lists those that there are")),
        }
    }
}

impl Delete {
    async fn run(self) -> Result<(), Problem> {
        self.connection.open_shop()?.delete_shop_qr(DeleteShopQrRequest { qr_id: self.qr_id }).await?;
        Ok(())
    }
}

/// All pages; with pictures of that size.
async fn codes(connection: &Connection, terminal: &str, size: Option<u32>) -> Result<Vec<ShopQr>, Problem> {
    let (mut client, mut codes, mut page_token) = (connection.open_shop()?, Vec::new(), String::new());
    loop {
        let request = ListShopQrsRequest {
            page_token,
            terminal_id: terminal.to_owned(),
            image_size: size.unwrap_or_default(),
            with_images: size.is_some(),
            ..ListShopQrsRequest::default()
        };
        let page = client.list_shop_qrs(request).await?.into_inner();
        codes.extend(page.shop_qrs);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(codes);
        }
    }
}

fn line(terminal: Terminal, code: &ShopQr) -> String {
    format!("{}  {}", terminal.paint(Style::Accent, &code.qr_id), code.location_description)
}

impl Picture {
    /// Draws the code, and writes the files that are wanted.
    fn show(&self, code: &ShopQr) -> Result<(), Problem> {
        let terminal = Terminal::stdout();
        terminal.line(line(terminal, code));
        terminal.line(&code.content);
        if let Ok(drawing) = Drawing::of(&code.content) {
            terminal.line(drawing.text());
        }
        for (file, bytes) in [(&self.svg, code.svg.as_bytes()), (&self.png, code.png.as_slice())] {
            let Some(file) = file else { continue };
            if bytes.is_empty() {
                return Err(Problem::new(EXIT_SOFTWARE, "the gateway could not draw the code"));
            }
            let problem = |error| Problem::input(format!("{} cannot be written: {error}", file.display()));
            std::fs::write(file, bytes).map_err(problem)?;
        }
        Ok(())
    }
}
