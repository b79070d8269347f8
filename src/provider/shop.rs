//! What a provider does for shops: QR codes of theirs, and reading customers' codes.

use async_trait::async_trait;

use crate::phone::PhoneNumber;
use crate::session::PersonalQr;
use crate::shop_qr::{Category, Location, ShopQr, ShopQrId};

/// A sales unit's codes at the provider.
#[async_trait]
pub trait Shop: Send + Sync {
    /// Makes a code, or gives one that is there another place. Safe to repeat.
    /// `image_size`: pixels of the provider's own picture.
    async fn put(
        &self,
        id: &ShopQrId,
        location: &Location,
        category: Category,
        image_size: u32,
    ) -> Result<ShopQr, ShopError>;

    /// A code that is there.
    async fn get(&self, id: &ShopQrId, image_size: u32) -> Result<ShopQr, ShopError>;

    /// All codes of the sales unit whose ids can be read, in no order.
    async fn list(&self, image_size: u32) -> Result<Vec<ShopQr>, ShopError>;

    /// Removes a code; [`ShopError::NotFound`] when there is none.
    async fn delete(&self, id: &ShopQrId) -> Result<(), ShopError>;

    /// Whose code a customer has shown.
    async fn exchange(&self, scanned: &PersonalQr) -> Result<PhoneNumber, ShopError>;
}

/// Why it was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShopError {
    /// There is no such code, or what was scanned is none of the provider's.
    #[error("the provider knows no such code")]
    NotFound,
    /// The provider refuses the request as it is.
    #[error("the provider refuses the request")]
    Refused,
    /// The provider does not let this credential do that.
    #[error("the provider refuses the credentials")]
    CredentialsRefused,
    /// The provider wants to be left alone for a while.
    #[error("the provider is busy")]
    Busy {
        /// How long, where it says so.
        retry_after: Option<std::time::Duration>,
    },
    /// It cannot be reached, or its answer is none.
    #[error("the provider cannot be reached")]
    Unavailable,
}
