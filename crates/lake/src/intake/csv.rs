//! CSV files. Columns that the table has keep their type; new ones get the narrowest that all their values have.
//!
//! An empty value is null. Numbers are written as JSON writes them: `007` is text, so that nothing of it is lost.
//! The one law: what the first look accepted, the second reads.
//!
//! budget: the two looks at a file must agree, and are read side by side.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder, new_null_array};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Field, Fields, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use csv::{ByteRecord, Reader, ReaderBuilder};
use encoding_rs::{Decoder, Encoding, UTF_8};
use offtake_model::batch::{CsvFormat, UploadPreview};
use offtake_model::{ErrorCode, Fault};

use super::names::Names;
use super::pack::Packer;
use super::parts::Upload;
use super::report::Report;
use super::shape::{Conflict, check_name, type_name};
use super::{Format, unconvertible, unread};

/// Rows converted at once.
const BATCH_ROWS: usize = 8_192;

/// Bytes of rows converted at once.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Largest row, in bytes: a quote that is never closed would make one row of the rest of the file.
const ROW_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The CSV files of a batch.
pub(crate) struct Csv {
    format: CsvFormat,
    names: Names,
    kinds: Vec<Kind>,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Known(DataType),
    Guess(Guess),
}

/// The narrowest type of all values so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guess {
    Unknown,
    Bool,
    Long,
    Double,
    Text,
}

impl Csv {
    /// Files for a table of those columns.
    pub(crate) fn new(table: &Fields, format: CsvFormat) -> Self {
        Self {
            format,
            names: Names::of(table),
            kinds: table
                .iter()
                .map(|field| Kind::Known(field.data_type().clone()))
                .collect(),
        }
    }

    fn open(&self, file: &Upload) -> Result<Rows, Fault> {
        let encoding = Encoding::for_label(self.format.charset.as_bytes()).unwrap_or(UTF_8);
        let since = Rc::new(Cell::new(0));
        let source: Box<dyn Read> = if encoding == UTF_8 {
            Box::new(file.reader())
        } else {
            Box::new(Decoded::new(file.reader(), encoding))
        };
        let bounded = Bounded {
            source,
            since: Rc::clone(&since),
        };
        let mut builder = ReaderBuilder::new();
        builder
            .has_headers(false)
            .flexible(true)
            .delimiter(self.format.delimiter)
            .quote(self.format.quote);
        if let Some(escape) = self.format.escape {
            builder.double_quote(escape == self.format.quote);
            if escape != self.format.quote {
                builder.escape(Some(escape));
            }
        }
        let mut rows = Rows {
            reader: builder.from_reader(bounded),
            since,
            names: Vec::new(),
        };
        rows.names = match &self.format.header {
            Some(names) => names.clone(),
            None => rows.header(file)?,
        };
        Ok(rows)
    }

    /// Where the file's columns are among all, making room for new ones.
    fn places(&mut self, names: &[String]) -> Result<Vec<usize>, Conflict> {
        let mut places = Vec::new();
        for name in names {
            check_name(name).map_err(|_| Conflict::named(name, "is no name for a column"))?;
            let place = if let Some(place) = self.names.find(name)? {
                place
            } else {
                self.kinds.push(Kind::Guess(Guess::Unknown));
                self.names.push(name)
            };
            if places.contains(&place) {
                return Err(Conflict::named(name, "is named twice in the header"));
            }
            places.push(place);
        }
        Ok(places)
    }
}

impl Format for Csv {
    fn survey(&mut self, file: &Upload, report: &mut Report) -> Result<(), Fault> {
        let mut rows = self.open(file)?;
        let places = match self.places(&rows.names) {
            Ok(places) => places,
            Err(conflict) => {
                report.bad(&file.name, 1, conflict);
                return Ok(());
            }
        };
        let mut record = ByteRecord::new();
        while rows.read(file, &mut record)? {
            report.rows += 1;
            let line = record.position().map_or(0, csv::Position::line);
            if let Err(reason) = self.judge(&rows.names, &places, &record) {
                report.bad(&file.name, line, reason);
            }
        }
        Ok(())
    }

    fn columns(&self) -> Fields {
        self.names
            .iter()
            .zip(&self.kinds)
            .map(|(name, kind)| Arc::new(Field::new(name, kind.to_type(), true)))
            .collect()
    }

    fn convert(
        &self,
        file: &Upload,
        schema: &SchemaRef,
        packer: &mut Packer<'_>,
    ) -> Result<(), Fault> {
        let mut rows = self.open(file)?;
        let mut chunk = Chunk::new(&rows.names, schema);
        let mut record = ByteRecord::new();
        while rows.read(file, &mut record)? {
            chunk.push(&record);
            if chunk.full() {
                packer.write(&chunk.take().map_err(|error| unconvertible(file, &error))?)?;
            }
        }
        packer.write(&chunk.take().map_err(|error| unconvertible(file, &error))?)
    }

    fn look(&self, file: &Upload, wanted: usize, preview: &mut UploadPreview) -> Result<(), Fault> {
        let mut rows = self.open(file)?;
        let mut record = ByteRecord::new();
        while preview.rows.len() < wanted && rows.read(file, &mut record)? {
            let values = record.iter().enumerate().map(|(place, bytes)| {
                let name = rows.names.get(place).cloned();
                let name = name.unwrap_or_else(|| format!("_c{place}"));
                (name, String::from_utf8_lossy(bytes).into_owned().into())
            });
            preview.push(values.collect());
        }
        Ok(())
    }
}

impl Csv {
    fn judge(
        &mut self,
        names: &[String],
        places: &[usize],
        record: &ByteRecord,
    ) -> Result<(), String> {
        if record.len() != places.len() {
            return Err(format!(
                "{} values where the header has {} columns",
                record.len(),
                places.len()
            ));
        }
        let mut guesses = Vec::new();
        for ((bytes, place), name) in record.iter().zip(places).zip(names) {
            let value = std::str::from_utf8(bytes)
                .map_err(|_| format!("column `{name}`: bytes that are not UTF-8"))?;
            match self.kinds.get(*place) {
                Some(Kind::Known(data_type)) if !value.is_empty() && !reads(value, data_type) => {
                    return Err(format!(
                        "column `{name}`: a value that is no {}",
                        type_name(data_type)
                    ));
                }
                Some(Kind::Guess(guess)) => guesses.push((*place, guess.with(value))),
                Some(Kind::Known(_)) | None => {}
            }
        }
        // Only a row that is good as a whole has a say in what its columns are.
        for (place, guess) in guesses {
            if let Some(kind) = self.kinds.get_mut(place) {
                *kind = Kind::Guess(guess);
            }
        }
        Ok(())
    }
}

impl Kind {
    fn to_type(&self) -> DataType {
        match self {
            Self::Known(data_type) => data_type.clone(),
            Self::Guess(Guess::Bool) => DataType::Boolean,
            Self::Guess(Guess::Long) => DataType::Int64,
            Self::Guess(Guess::Double) => DataType::Float64,
            Self::Guess(Guess::Unknown | Guess::Text) => DataType::Utf8,
        }
    }
}

impl Guess {
    fn with(self, value: &str) -> Self {
        if value.is_empty() || self == Self::Text {
            return self;
        }
        match (self, Self::of(value)) {
            (Self::Unknown, guess) => guess,
            (before, guess) if before == guess => before,
            (Self::Long | Self::Double, Self::Long | Self::Double) => Self::Double,
            (_, _) => Self::Text,
        }
    }

    fn of(value: &str) -> Self {
        if value == "true" || value == "false" {
            return Self::Bool;
        }
        let digits = value.strip_prefix('-').unwrap_or(value);
        let mut bytes = digits.bytes();
        let first = bytes.next().is_some_and(|byte| byte.is_ascii_digit());
        let padded = digits.starts_with('0') && bytes.next().is_some_and(|it| it.is_ascii_digit());
        if !first || padded {
            return Self::Text;
        }
        if value.parse::<i64>().is_ok() {
            return Self::Long;
        }
        // Whole numbers beyond a long would lose their last digits as a double.
        let whole = digits.bytes().all(|byte| byte.is_ascii_digit());
        if !whole && value.parse::<f64>().is_ok_and(f64::is_finite) {
            return Self::Double;
        }
        Self::Text
    }
}

/// Whether a value reads as that type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not named is refused, a type of a later Arrow too"
)]
fn reads(value: &str, data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 => true,
        DataType::Boolean => {
            value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
        }
        DataType::Int64 => value.parse::<i64>().is_ok(),
        DataType::Int32 => value.parse::<i32>().is_ok(),
        DataType::Int16 => value.parse::<i16>().is_ok(),
        DataType::Int8 => value.parse::<i8>().is_ok(),
        DataType::Float64 | DataType::Float32 => value.parse::<f64>().is_ok(),
        DataType::Date32 => Date32Type::parse(value).is_some(),
        DataType::Timestamp(_, _) => TimestampMicrosecondType::parse(value).is_some(),
        _ => false,
    }
}

/// An open file and its columns' names.
struct Rows {
    reader: Reader<Bounded>,
    since: Rc<Cell<u64>>,
    names: Vec<String>,
}

impl Rows {
    fn read(&mut self, file: &Upload, record: &mut ByteRecord) -> Result<bool, Fault> {
        self.since.set(0);
        self.reader
            .read_byte_record(record)
            .map_err(|error| unreadable(file, &error))
    }

    fn header(&mut self, file: &Upload) -> Result<Vec<String>, Fault> {
        let mut record = ByteRecord::new();
        let found = self.read(file, &mut record)?;
        let names: Vec<String> = record
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        if !found || names.iter().all(String::is_empty) {
            return Err(Fault::new(
                ErrorCode::CsvHeaderEmpty,
                format!("file `{}` does not begin with column names", file.name),
            ));
        }
        Ok(names)
    }
}

/// Rows on their way to a batch.
struct Chunk<'a> {
    schema: &'a SchemaRef,
    /// For each column of the schema, the file's column.
    places: Vec<Option<usize>>,
    texts: Vec<StringBuilder>,
    rows: usize,
    bytes: usize,
}

impl<'a> Chunk<'a> {
    fn new(names: &[String], schema: &'a SchemaRef) -> Self {
        Self {
            schema,
            places: schema
                .fields()
                .iter()
                .map(|field| names.iter().position(|name| name == field.name()))
                .collect(),
            texts: names.iter().map(|_| StringBuilder::new()).collect(),
            rows: 0,
            bytes: 0,
        }
    }

    fn push(&mut self, record: &ByteRecord) {
        for (at, text) in self.texts.iter_mut().enumerate() {
            let value = record.get(at).filter(|value| !value.is_empty());
            text.append_option(value.and_then(|value| std::str::from_utf8(value).ok()));
        }
        self.rows += 1;
        self.bytes += record.as_slice().len();
    }

    fn full(&self) -> bool {
        self.rows == BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    fn take(&mut self) -> Result<RecordBatch, arrow::error::ArrowError> {
        let strict = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let texts: Vec<ArrayRef> = self
            .texts
            .iter_mut()
            .map(|text| Arc::new(text.finish()) as ArrayRef)
            .collect();
        let columns = self
            .schema
            .fields()
            .iter()
            .zip(&self.places)
            .map(
                |(field, place)| match place.and_then(|place| texts.get(place)) {
                    Some(text) => cast_with_options(text, field.data_type(), &strict),
                    None => Ok(new_null_array(field.data_type(), self.rows)),
                },
            )
            .collect::<Result<Vec<_>, _>>()?;
        let options =
            arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(self.rows));
        (self.rows, self.bytes) = (0, 0);
        RecordBatch::try_new_with_options(Arc::clone(self.schema), columns, &options)
    }
}

/// Refuses to read on without end while one row is made.
struct Bounded {
    source: Box<dyn Read>,
    since: Rc<Cell<u64>>,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > ROW_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a row is longer than 16 MiB; is a quote left open?",
            ));
        }
        let read = self.source.read(buffer)?;
        self.since.set(self.since.get() + read as u64);
        Ok(read)
    }
}

/// Turns another character set into UTF-8.
struct Decoded<R> {
    source: R,
    decoder: Decoder,
    ended: bool,
    /// UTF-8 that has not been taken yet; a caller's buffer may be too small for one letter.
    ready: Vec<u8>,
    taken: usize,
}

/// UTF-8 made at once, in bytes.
const DECODED_BYTES: usize = 64 * 1024;

impl<R: BufRead> Decoded<R> {
    fn new(source: R, encoding: &'static Encoding) -> Self {
        Self {
            source,
            decoder: encoding.new_decoder_with_bom_removal(),
            ended: false,
            ready: Vec::new(),
            taken: 0,
        }
    }

    fn refill(&mut self) -> io::Result<()> {
        let bytes = self.source.fill_buf()?;
        let last = bytes.is_empty();
        self.ready.resize(DECODED_BYTES, 0);
        self.taken = 0;
        let (_, read, written, malformed) =
            self.decoder.decode_to_utf8(bytes, &mut self.ready, last);
        self.ready.truncate(written);
        self.source.consume(read);
        self.ended = last && written == 0;
        if malformed {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file has bytes that are not of its charset",
            ));
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.ready.len() && !self.ended {
            self.refill()?;
        }
        let rest = self.ready.get(self.taken..).unwrap_or_default();
        let size = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        self.taken += size;
        Ok(size)
    }
}

/// Bytes that are no rows are the client's business, a broken disk is ours.
fn unreadable(file: &Upload, error: &csv::Error) -> Fault {
    if let csv::ErrorKind::Io(broken) = error.kind()
        && broken.kind() == io::ErrorKind::InvalidData
    {
        return Fault::new(
            ErrorCode::BatchRowsInvalid,
            format!("file `{}` cannot be read: {broken}", file.name),
        );
    }
    unread(file, error)
}
