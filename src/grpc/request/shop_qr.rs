//! What the calls about shops' QR codes ask for.

use super::super::status::CallError;
use super::super::v1;
use super::Violations;
use crate::logins::{CheckInFilter, CreateShopQr};
use crate::session::TerminalId;
use crate::shop_qr::{Category, Location, QrName, ShopQrId};

const IMAGE_SIZES: std::ops::RangeInclusive<u32> = 100..=2000;
const DEFAULT_IMAGE_SIZE: u32 = 500;
const MAX_PAGE: u32 = 200;
const DEFAULT_PAGE: u32 = 50;

pub(in crate::grpc) fn create_shop_qr(request: &v1::CreateShopQrRequest) -> Result<CreateShopQr, CallError> {
    let mut wrong = Violations::default();
    let terminal = wrong.check("terminal_id", TerminalId::new(request.terminal_id.clone()));
    let location = wrong.check("location_description", Location::new(request.location_description.clone()));
    let name = wrong.optional("name", &request.name, QrName::new);
    let image_size = image_size(request.image_size, &mut wrong);
    let category = match v1::ShopQrCategory::try_from(request.category) {
        Ok(v1::ShopQrCategory::Unspecified | v1::ShopQrCategory::InStore) => Category::InStore,
        Ok(v1::ShopQrCategory::Vending) => Category::Vending,
        Err(_) => {
            wrong.add("category", "must be IN_STORE or VENDING");
            Category::InStore
        }
    };
    wrong.finish()?;
    let (Some(terminal), Some(location)) = (terminal, location) else {
        return Err(CallError::field("request", "is incomplete"));
    };
    Ok(CreateShopQr { terminal, name, location, category, image_size })
}

/// Which codes are to be listed.
pub(in crate::grpc) struct ShopQrPage {
    pub(in crate::grpc) terminal: Option<TerminalId>,
    pub(in crate::grpc) after: Option<ShopQrId>,
    pub(in crate::grpc) size: usize,
    pub(in crate::grpc) image_size: u32,
}

pub(in crate::grpc) fn list_shop_qrs(request: &v1::ListShopQrsRequest) -> Result<ShopQrPage, CallError> {
    let mut wrong = Violations::default();
    let terminal = wrong.optional("terminal_id", &request.terminal_id, TerminalId::new);
    let size = match request.page_size {
        0 => DEFAULT_PAGE,
        size @ 1..=MAX_PAGE => size,
        _ => {
            wrong.add("page_size", "must be 1 to 200, or 0 for 50");
            DEFAULT_PAGE
        }
    };
    let after = match request.page_token.as_str() {
        "" => None,
        token => wrong.check("page_token", ShopQrId::new(token).map_err(|_| "must be a next_page_token")),
    };
    let image_size = image_size(request.image_size, &mut wrong);
    wrong.finish()?;
    Ok(ShopQrPage { terminal, after, size: usize::try_from(size).unwrap_or(usize::MAX), image_size })
}

pub(in crate::grpc) fn qr_id(text: &str) -> Result<ShopQrId, CallError> {
    ShopQrId::new(text).map_err(|problem| CallError::field("qr_id", problem.to_string()))
}

pub(in crate::grpc) fn check_in_filter(request: &v1::WatchCheckInsRequest) -> Result<CheckInFilter, CallError> {
    let mut wrong = Violations::default();
    let terminal = wrong.optional("terminal_id", &request.terminal_id, TerminalId::new);
    let qr = match request.qr_id.as_str() {
        "" => None,
        text => wrong.check("qr_id", ShopQrId::new(text)),
    };
    wrong.finish().map(|()| CheckInFilter { terminal, qr })
}

fn image_size(size: u32, wrong: &mut Violations) -> u32 {
    match size {
        0 => DEFAULT_IMAGE_SIZE,
        size if IMAGE_SIZES.contains(&size) => size,
        _ => {
            wrong.add("image_size", "must be 100 to 2000 pixels, or 0 for 500");
            DEFAULT_IMAGE_SIZE
        }
    }
}
