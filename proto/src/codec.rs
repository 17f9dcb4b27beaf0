//! The gRPC codec of the generated client: requests are encoded canonically, whoever makes them.

use std::marker::PhantomData;

use bytes::BufMut;
use prost::Message;
use tonic::Status;
use tonic::codec::{Codec as TonicCodec, EncodeBuf, Encoder as TonicEncoder};
use tonic_prost::ProstCodec;

use crate::canonical::{self, Typed};

/// Decodes as prost does, encodes by [`canonical::encode`].
#[derive(Debug, Clone)]
pub struct Codec<T, U>(PhantomData<fn(T) -> U>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> TonicCodec for Codec<T, U>
where
    T: Typed + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Encoder<T>;
    type Decoder = <ProstCodec<T, U> as TonicCodec>::Decoder;

    fn encoder(&mut self) -> Self::Encoder {
        Encoder(PhantomData)
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<T, U>::default().decoder()
    }
}

/// The encoding half of [`Codec`].
#[derive(Debug, Clone)]
pub struct Encoder<T>(PhantomData<fn(T)>);

impl<T: Typed> TonicEncoder for Encoder<T> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, item: T, buf: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let bytes = canonical::encode(&item)
            .map_err(|e| Status::internal(format!("the request holds a definition that is none: {e}")))?;
        buf.reserve(bytes.len());
        buf.put_slice(&bytes);
        Ok(())
    }
}
